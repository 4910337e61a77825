// What can be done with all the runs that a page shows: try the failed ones again, end what goes on, take them along.
import { TERMINAL, act, ask, count, h, replace, say } from "./dom.js"
import { get, post } from "./api.js"

const AGAIN = new Set(["failed", "crashed", "timed_out"])
const AT_ONCE = 4
const FIELDS = ["id", "name", "flow", "state", "created", "started", "ended", "message", "parameters", "results"]

/** *filters*: the request that the runs answer; *done* is called after they were changed. */
export function showBulk(place, runs, { filters, done }) {
    const failed = runs.filter(({ state }) => AGAIN.has(state))
    const live = runs.filter(({ state }) => !TERMINAL.has(state) && state !== "cancelling")
    const signature = [failed, live].map((some) => some.map(({ id }) => id)).join("|") + JSON.stringify(filters)
    if (place.dataset.shown === signature) return
    place.dataset.shown = signature
    replace(
        place,
        failed.length > 0 &&
            button(`Retry ${failed.length} failed…`, async () => {
                const question = `Try ${count(failed.length, "failed run")} again? Each has one more attempt, with the same values.`
                if (await ask(question, "Retry them", { no: "Not now", kind: "primary" })) await each(failed, "retry", "tried again", done)
            }),
        live.length > 0 &&
            button(`Cancel ${live.length} going on…`, async () => {
                const question = `Cancel ${count(live.length, "run")}? What the notebooks have written so far stays.`
                if (await ask(question, "Cancel them", { no: "Let them run" })) await each(live, "cancel", "cancelled", done)
            }),
        runs.length > 0 && button("Download CSV", () => download(filters)),
    )
}

function button(words, action) {
    const node = h("button.small", { type: "button" }, words)
    node.addEventListener("click", () => act(node, action))
    return node
}

async function each(runs, path, words, done) {
    const waiting = [...runs]
    const refused = []
    const work = async () => {
        for (let run = waiting.shift(); run; run = waiting.shift())
            await post(`runs/${run.id}/${path}`).catch((error) => refused.push(`${run.name}: ${error.message}`))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    const told = `${count(runs.length - refused.length, "run")} ${words}.`
    say([told, ...refused.slice(0, 3)].join("\n"), refused.length ? "error" : "info")
    await done()
}

// -- as a table -------------------------------------------------------------------------------------------------------

const toTime = (microseconds) => (microseconds === null ? "" : new Date(microseconds / 1000).toISOString())

function quote(value) {
    const text = value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value)
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** One line a run; its parameters and results have columns of their own. */
function toCsv(columns) {
    const plain = FIELDS.filter((name) => !["parameters", "results"].includes(name))
    const names = (field) => [...new Set(columns[field].flatMap((values) => Object.keys(values ?? {})))]
    const [parameters, results] = [names("parameters"), names("results")]
    const cell = (name, index) =>
        ["created", "started", "ended"].includes(name) ? toTime(columns[name][index]) : columns[name][index]
    const head = [...plain, ...parameters, ...results.map((name) => (parameters.includes(name) ? `result ${name}` : name))]
    const lines = columns.id.map((_, index) => [
        ...plain.map((name) => cell(name, index)),
        ...parameters.map((name) => columns.parameters[index]?.[name]),
        ...results.map((name) => columns.results[index]?.[name]),
    ])
    return [head, ...lines].map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n"
}

async function download({ cursor, limit, ...filters }) {
    const columns = Object.fromEntries(FIELDS.map((name) => [name, []]))
    let next = null
    do {
        const page = await get("runs/columns", { ...filters, field: FIELDS, limit: 5000, cursor: next })
        for (const name of FIELDS) columns[name].push(...page.columns[name])
        next = page.next
    } while (next)
    const link = h("a", {
        href: URL.createObjectURL(new Blob([toCsv(columns)], { type: "text/csv;charset=utf-8" })),
        download: "runs.csv",
    })
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
    say(`${count(columns.id.length, "run")} written to runs.csv.`)
}
