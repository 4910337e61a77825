// Runs as rows of a dense table: on the page of all runs, on a flow's, on a schedule's.
import { badge, duration, h, moment, stamp, summarise } from "./dom.js"
import { href } from "./api.js"

const LIVE = new Set(["running", "cancelling"])

function tell(run) {
    if (run.state === "completed" || run.state === "skipped") return ""
    if (LIVE.has(run.state)) return run.last_line
    return run.message
}

function lasted(run) {
    if (run.duration !== null) return duration(run.duration)
    return run.started && LIVE.has(run.state) ? duration((Date.now() - Date.parse(run.started)) / 1000) : ""
}

function runRow(run, { hasFlow = true } = {}) {
    return h(
        "tr",
        { dataset: { run: run.id } },
        h("td", {}, badge(run.state)),
        h(
            "td.name",
            {},
            h("a.strong", { href: href(`runs/${run.id}`) }, run.name),
            run.tags.map((tag) => h("span.tag", {}, tag)),
        ),
        hasFlow && h("td.clip", { title: run.flow ?? run.source_path }, run.flow ?? run.source_path.split("/").at(-1)),
        h("td.clip.code", { title: summarise(run.parameters, 99) }, summarise(run.parameters)),
        h("td", { title: stamp(run.created) }, moment(run.created)),
        h("td.number", {}, lasted(run)),
        h("td.clip.quiet", { title: tell(run) }, tell(run)),
    )
}

const HEADS = ["State", "Run", "Flow", "Parameters", "Created", "Took", "Message"]

export function runTable(runs, { hasFlow = true, label = "Runs" } = {}) {
    const heads = HEADS.filter((name) => hasFlow || name !== "Flow")
    const body = h(
        "tbody",
        {},
        runs.map((run) => runRow(run, { hasFlow })),
    )
    const table = h(
        "table.list.runs",
        {},
        h("caption.offscreen", {}, label),
        h(
            "thead",
            {},
            h(
                "tr",
                {},
                heads.map((name) => h("th", { scope: "col", class: name === "Took" ? "number" : null }, name)),
            ),
        ),
        body,
    )
    return {
        node: h("div.scroll", { tabindex: "0", role: "region", "aria-label": label }, table),
        body,
        options: { hasFlow },
    }
}

/** Puts newer states into the rows that are there: nothing moves. */
export function updateRows(table, runs) {
    for (const run of runs) {
        const row = table.body.querySelector(`[data-run="${run.id}"]`)
        if (row) row.replaceWith(runRow(run, table.options))
    }
}
