// Attempts and cells as bars on one axis of time.
import { duration, h, icon, lookOf, replace, stamp } from "./dom.js"

const CELL_LOOK = { completed: "completed", failed: "failed", skipped: "skipped", running: "running" }

export class Timeline {
    constructor(place) {
        this.place = place
        this.rows = []
        this.cells = 0
        this.done = 0
        this.current = null
    }

    take({ kind, data, time, attempt }) {
        const at = Date.parse(time)
        if (kind === "started") {
            this.rows.push({
                title: `Attempt ${attempt}`,
                note: data.kernel ?? "",
                begin: at,
                end: null,
                look: "running",
                isAttempt: true,
                attempt,
            })
            this.cells = data.cells ?? 0
            this.done = 0
        } else if (kind === "cell_started") {
            this.current = { number: data.number, title: data.title }
            this.rows.push({
                title: data.title || `Cell ${data.number}`,
                note: `${data.number}`,
                begin: at,
                end: null,
                look: "running",
                index: data.index,
                attempt,
            })
        } else if (kind === "cell_finished") {
            const row = this.rows.findLast(
                (one) => one.index === data.index && one.attempt === attempt && !one.isAttempt,
            )
            if (row)
                Object.assign(row, { end: at, seconds: data.duration, look: CELL_LOOK[data.status] ?? "completed" })
            this.done = data.number ?? this.done + 1
        } else if (kind === "ended") {
            const looks = { succeeded: "completed", timed_out: "timed_out", cancelled: "cancelled", lost: "crashed" }
            // the cell that was stopped raised something, but it is not that which failed
            const stopped = this.rows.findLast((row) => row.attempt === attempt && !row.isAttempt)
            if (stopped?.look === "failed") stopped.look = looks[data.state] ?? "failed"
            for (const row of this.rows)
                if (row.attempt === attempt && row.end === null)
                    Object.assign(row, {
                        end: at,
                        look: row.isAttempt
                            ? (looks[data.state] ?? "failed")
                            : data.state === "succeeded"
                              ? "completed"
                              : (looks[data.state] ?? "failed"),
                    })
        } else return false
        return true
    }

    /** *claimed*: when it had a slot. *end*: until when the axis goes while something is still open. */
    draw(created, claimed, end = Date.now()) {
        if (!this.rows.length) return
        const from = Math.min(Date.parse(created), ...this.rows.map((row) => row.begin))
        const to =
            Math.max(
                end && this.rows.some((row) => row.end === null) ? end : 0,
                ...this.rows.map((row) => row.end ?? row.begin),
            ) || from + 1
        const span = Math.max(to - from, 1)
        const most = 400
        const rows = [...this.#before(from, Date.parse(claimed)), ...this.rows]
        replace(
            this.place,
            h(
                "table.gantt",
                {},
                h("caption.offscreen", {}, "Timeline of attempts and cells"),
                h(
                    "thead.offscreen",
                    {},
                    h(
                        "tr",
                        {},
                        ["What", "Took", "When"].map((head) => h("th", { scope: "col" }, head)),
                    ),
                ),
                h(
                    "tbody",
                    {},
                    rows.slice(0, most).map((row) => this.#row(row, from, span, to)),
                ),
            ),
            rows.length > most && h("p.quiet", {}, `${rows.length - most} further cells are not drawn.`),
        )
    }

    /** What it waited for until its first attempt had a kernel, where that took long enough to be seen. */
    #before(from, claimed) {
        const begun = this.rows[0].begin
        const slot = Math.min(Math.max(claimed || from, from), begun)
        const wait = { look: "pending", isAttempt: true, note: "" }
        return [
            { ...wait, title: "Waiting for a slot", begin: from, end: slot },
            { ...wait, title: "Starting", begin: slot, end: begun },
        ].filter(({ begin, end }) => end - begin > 50)
    }

    #row(row, from, span, to) {
        const end = row.end ?? to
        const seconds = row.seconds ?? (end - row.begin) / 1000
        const bar = h("span.bar", { dataset: { state: lookOf(row.look) } })
        bar.style.left = `${((row.begin - from) / span) * 100}%`
        bar.style.width = `${Math.max(((end - row.begin) / span) * 100, 0.3)}%`
        return h(
            "tr",
            { class: row.isAttempt ? "attempt" : null },
            h(
                "th",
                { scope: "row", title: row.title },
                h("span.state", { dataset: { state: row.look } }, icon(row.look), h("span.offscreen", {}, row.look)),
                !row.isAttempt && h("span.quiet.number", {}, row.note),
                row.title,
            ),
            h("td.number", {}, duration(seconds)),
            h("td.track", { title: `${stamp(new Date(row.begin).toISOString())}, ${duration(seconds)}` }, bar),
        )
    }
}
