// What happens in a run, as it happens. A browser allows few connections to one server: one a page, closed at the end.
import { apiHref } from "./api.js"

const KINDS = [
    "started",
    "cell_started",
    "cell_finished",
    "log",
    "output",
    "result",
    "values",
    "renamed",
    "state",
    "ended",
]

/** Calls *take* with every event, *end* with `{ state, message }`, *lost* when the connection breaks (it resumes). */
export function follow(runId, { take, end, lost = () => {}, back = () => {} }) {
    const source = new EventSource(apiHref(`runs/${runId}/events`))
    for (const kind of KINDS) source.addEventListener(kind, (event) => take(JSON.parse(event.data)))
    source.addEventListener("end", (event) => {
        source.close()
        end(JSON.parse(event.data))
    })
    source.addEventListener("open", back)
    source.addEventListener("error", (event) => {
        if (event.data === undefined) lost(source.readyState === EventSource.CLOSED)
    })
    return source
}
