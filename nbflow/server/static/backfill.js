// One backfill: how far it is, every row as a cell, and what its runs came to.
import {
    $,
    STATES,
    act,
    ask,
    badge,
    brief,
    count,
    duration,
    empty,
    h,
    lookOf,
    moment,
    poll,
    replace,
    say,
    summarise,
    wordsOf,
} from "./dom.js"
import { apiHref, flowPath, get, href, post } from "./api.js"
import { stateBar } from "./backfilllist.js"

const id = $("main").dataset.backfill
const RESTING = new Set(["stopped", "interrupted", "cancelled", "completed", "completed_with_failures"])
const LARGE = 2000
const BLOCK = 500
let backfill = null
let cells = new Map()
let chosen = new URLSearchParams(location.search).get("state") ?? ""
let seen = ""

const button = (words, action, kind = "") => {
    const node = h("button", { type: "button", class: kind || null }, words)
    node.addEventListener("click", () => act(node, action))
    return node
}

async function change(path, body, words) {
    const answer = await post(`backfills/${id}/${path}`, body)
    say(answer.message ?? words)
    if (answer.id !== id) location.assign(href(`backfills/${answer.id}`))
    else await load()
}

async function cancel() {
    if (
        await ask(
            "Cancel this backfill? Runs that are going on are ended, those that wait are not begun.",
            "Cancel the backfill",
        )
    )
        await change("cancel", {}, "Cancelling.")
}

function showActions() {
    const { state, failed, waiting } = backfill
    const rests = RESTING.has(state)
    const missing = rests && (waiting > 0 || ["cancelled", "interrupted", "stopped"].includes(state))
    const place = $("#actions")
    const signature = `${state} ${rests && failed}`
    if (place.dataset.shown === signature) return
    place.dataset.shown = signature
    replace(
        place,
        state === "paused" && button("Resume", () => change("unpause", {}, "It goes on."), "primary"),
        ["running", "preparing"].includes(state) &&
            button("Pause", () => change("pause", {}, "Paused: what runs goes on, nothing more is begun.")),
        !rests && state !== "cancelling" && button("Cancel", cancel, "danger"),
        missing &&
            button(
                "Run what is missing",
                () => change("resume", { reprocess_behavior: failed ? "failed" : "none" }, "It goes on."),
                "primary",
            ),
        !missing &&
            rests &&
            failed > 0 &&
            button(
                `Retry ${failed.toLocaleString("en")} failed`,
                () => change("resume", { reprocess_behavior: "failed" }, "Running the failed ones again."),
                "primary",
            ),
    )
}

function showHead() {
    document.title = `${backfill.name} · ${wordsOf(backfill.state)} · nbflow`
    $("#name").textContent = backfill.name
    replace($("#state"), badge(backfill.state))
    const isFlow = !backfill.flow.startsWith("/")
    replace(
        $("#crumb"),
        h("a", { href: href("backfills") }, "Backfills"),
        " / ",
        isFlow
            ? h("a", { href: `${href(flowPath(backfill.flow))}#backfill` }, backfill.flow)
            : backfill.flow.split("/").at(-1),
    )
    $("#note").textContent = backfill.note
    $("#note").hidden = !backfill.note
    $("#done").textContent =
        `${backfill.done.toLocaleString("en")} of ${count(backfill.total, "run")} done${backfill.left_alone ? `; ${backfill.left_alone.toLocaleString("en")} rows had run before` : ""}`
    replace($("#bar"), stateBar(backfill.counts, backfill.total))
    replace(
        $("#facts"),
        fact("Started", moment(backfill.created)),
        fact("Differing", backfill.axes.join(", ") || "–"),
        Object.keys(backfill.parameters).length > 0 &&
            fact("In all runs", h("code", {}, summarise(backfill.parameters, 8))),
        fact("At the same time", String(backfill.max_active_runs)),
        backfill.max_failures && fact("Stops after", count(backfill.max_failures, "failure")),
        backfill.run_backwards && fact("Order", "the last one first"),
    )
    showActions()
    showLegend()
}

const fact = (name, ...value) => [h("dt", {}, name), h("dd", {}, value)]

function showLegend() {
    const place = $("#legend")
    const signature = JSON.stringify([backfill.counts, chosen])
    if (place.dataset.shown === signature) return
    place.dataset.shown = signature
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.state : null
    replace(
        place,
        STATES.filter((state) => backfill.counts[state] || state === chosen).map((state) => {
            const choose = () => {
                chosen = chosen === state ? "" : state
                history.replaceState(null, "", href(`backfills/${id}`, { state: chosen }))
                showLegend()
                loadRuns().catch((error) => say(error.message, "error"))
            }
            return h(
                "button.chip",
                { type: "button", "aria-pressed": String(chosen === state), dataset: { state }, onclick: choose },
                badge(state),
                h("span.number", {}, (backfill.counts[state] ?? 0).toLocaleString("en")),
            )
        }),
    )
    if (focused) $(`[data-state="${focused}"]`, place)?.focus()
}

// -- the grid ---------------------------------------------------------------------------------------------------------

const tell = (state, axes, values) =>
    `${values.map((value, index) => `${axes[index]}=${brief(value, 30)}`).join(", ")}: ${wordsOf(state)}`

/** A line of cells for each value of the axis with fewest values; where there is one axis, and of days, for each month. */
function groupCells(axes, rows) {
    if (axes.length < 2) return isDays(rows) ? groupBy(rows, ([, , , [day]]) => day.slice(0, 7)) : [["", rows]]
    const sizes = axes.map((_, index) => new Set(rows.map(([, , , values]) => JSON.stringify(values[index]))).size)
    const by = sizes.indexOf(Math.min(...sizes))
    return groupBy(rows, (row) => brief(row[3][by], 24))
}

const isDays = (rows) => rows.every(([, , , values]) => /^\d{4}-\d\d-\d\d/.test(values[0]))

function groupBy(rows, name) {
    const groups = new Map()
    for (const row of rows) {
        const label = name(row)
        if (!groups.has(label)) groups.set(label, [])
        groups.get(label).push(row)
    }
    return [...groups]
}

/** Long lines in blocks, so that the browser lays out only those that are seen. */
function splitCells([label, rows]) {
    if (rows.length <= BLOCK) return [[label, rows]]
    const blocks = []
    for (let first = 0; first < rows.length; first += BLOCK)
        blocks.push([`${label} ${first + 1}`.trim(), rows.slice(first, first + BLOCK)])
    return blocks
}

/** How high so many cells will be. */
function guessHeight(number) {
    const across = Math.max(Math.floor(($("#grid").clientWidth - 110) / 27), 1)
    return Math.ceil(number / across) * 27
}

function makeBlock([label, rows], make) {
    const block = h(
        "div.cells",
        {},
        label && h("span.cells-label", { title: label }, label),
        h("span.cells-row", {}, rows.map(make)),
    )
    block.style.containIntrinsicSize = `auto ${guessHeight(rows.length)}px`
    return block
}

async function loadGrid() {
    const grid = await get(`backfills/${id}/grid`)
    const place = $("#grid")
    if (cells.size === grid.cells.length && cells.size) {
        for (const [, runId, state, values] of grid.cells) {
            const cell = cells.get(runId)
            if (!cell || cell.dataset.of === state) continue
            Object.assign(cell.dataset, { of: state, state: lookOf(state) })
            const words = tell(state, grid.axes, values)
            cell.title = words
            cell.setAttribute("aria-label", words)
        }
        return
    }
    cells = new Map()
    const make = ([, runId, state, values]) => {
        const words = tell(state, grid.axes, values)
        const cell = h("a.cell", {
            href: href(`runs/${runId}`),
            title: words,
            "aria-label": words,
            dataset: { state: lookOf(state), of: state },
        })
        cells.set(runId, cell)
        return cell
    }
    replace(
        place,
        groupCells(grid.axes, grid.cells)
            .flatMap(splitCells)
            .map((group) => makeBlock(group, make)),
        backfill.total > grid.cells.length &&
            h(
                "p.quiet",
                {},
                `The first ${grid.cells.length.toLocaleString("en")} of ${backfill.total.toLocaleString("en")} rows.`,
            ),
    )
}

// -- the runs ---------------------------------------------------------------------------------------------------------

const isPlain = (value) => value === null || ["number", "string", "boolean"].includes(typeof value)

async function loadRuns(cursor) {
    const { runs, next } = await get(`backfills/${id}/runs`, { state: chosen || undefined, limit: 100, cursor })
    const place = $("#runs")
    if (!runs.length && !cursor) return replace(place, empty(chosen ? `No run is ${wordsOf(chosen)}.` : "No runs yet."))
    const { axes } = backfill
    const results = [
        ...new Set(
            runs.flatMap((run) =>
                Object.entries(run.results ?? {})
                    .filter(([, value]) => isPlain(value))
                    .map(([name]) => name),
            ),
        ),
    ].slice(0, 6)
    const isNumber = (name) => runs.every((run) => typeof (run.results?.[name] ?? 0) === "number")
    const line = (run) =>
        h(
            "tr",
            {},
            h("td", {}, badge(run.state)),
            axes.map((name) => h("td.code.nowrap", {}, brief(run.parameters[name], 40))),
            h("td", {}, h("a.strong", { href: href(`runs/${run.id}`) }, run.name)),
            h("td.number", {}, duration(run.duration)),
            results.map((name) => h(isNumber(name) ? "td.number" : "td", {}, brief(run.results?.[name] ?? "", 24))),
            h("td.clip.quiet", { title: run.message }, run.state === "completed" ? "" : run.message),
        )
    const heads = ["State", ...axes, "Run", "Took", ...results, "Message"]
    replace(
        place,
        h(
            "div.scroll",
            { tabindex: "0", role: "region", "aria-label": "Runs of this backfill" },
            h(
                "table.list",
                {},
                h(
                    "thead",
                    {},
                    h(
                        "tr",
                        {},
                        heads.map((name) =>
                            h(
                                "th",
                                { scope: "col", class: name === "Took" || (results.includes(name) && isNumber(name)) ? "number" : null },
                                name,
                            ),
                        ),
                    ),
                ),
                h("tbody", {}, runs.map(line)),
            ),
        ),
        h(
            "div.pager",
            {},
            cursor && h("button", { type: "button", onclick: () => loadRuns() }, "« First page"),
            next && h("button", { type: "button", onclick: () => loadRuns(next) }, "Next page ›"),
        ),
    )
    place.dataset.cursor = cursor ?? ""
    return undefined
}

async function load() {
    backfill = await get(`backfills/${id}`)
    showHead()
    const now = JSON.stringify([backfill.counts, backfill.total])
    if (now === seen) return
    const isFirst = !seen
    seen = now
    // the place that the cells will take is kept, so that nothing moves when they come
    const height = Math.min(guessHeight(Math.min(backfill.total, 10000)), window.innerHeight * 0.5)
    $("#grid").style.minHeight = `${height}px`
    const grid = loadGrid()
    const isBusy = $("#runs").contains(document.activeElement) || $("#runs").dataset.cursor
    if (isFirst || !isBusy) await loadRuns()
    document.body.dataset.ready = "yes"
    await grid
}

$("#frame").href = apiHref(`backfills/${id}/frame`)
load()
    .then(() =>
        poll(() => (RESTING.has(backfill.state) ? Promise.resolve() : load()), backfill.total > LARGE ? 6 : 1.5),
    )
    .catch((error) => replace($("main"), empty("This backfill can't be shown.", error.message)))
