// All runs, filtered by what the address says, a page at a time.
import { $, STATES, TERMINAL, badge, empty, h, poll, replace } from "./dom.js"
import { get, href } from "./api.js"
import { showBulk } from "./bulk.js"
import { runTable, updateRows } from "./runlist.js"

const form = $("#filters")
const place = $("#runs")
const pager = $("#pager")
const NAMES = [
    "flow",
    "name",
    "parameter",
    "tag",
    "since",
    "until",
    "order",
    "limit",
    "schedule_id",
    "backfill_id",
    "parent_id",
    "root_id",
]

const FIELDS = ["flow", "name", "parameter", "tag", "since", "until", "order", "limit"]

function readAddress() {
    const given = new URLSearchParams(location.search)
    const query = { state: given.getAll("state") }
    for (const name of [...NAMES, "cursor"]) if (given.get(name)) query[name] = given.get(name)
    return query
}

const toTime = (day, end) => {
    if (!day) return undefined
    const [year, month, date] = day.split("-").map(Number)
    if (!date) return undefined
    return new Date(year, month - 1, date + (end ? 1 : 0)).toISOString()
}

/** Days as they are chosen become the moments at which they begin and end here. */
const toRequest = ({ since, until, parameter, ...rest }) => ({
    ...rest,
    // half typed, it is no filter yet; several are told apart by the names that begin them
    parameter: parameter?.split(/,\s*(?=\w+=)/).filter((one) => /^\w+=./.test(one.trim())).map((one) => one.trim()),
    since: toTime(since, false),
    until: toTime(until, true),
    limit: rest.limit ?? 100,
})

function showFilters(query) {
    for (const name of FIELDS)
        if (form.elements[name]) form.elements[name].value = query[name] ?? form.elements[name].dataset.default ?? ""
    const hidden = ["schedule_id", "backfill_id", "parent_id", "root_id"].filter((name) => query[name])
    replace(
        $("#fixed"),
        hidden.map((name) =>
            h(
                "span.tag",
                {},
                `${name.replace("_id", "")} ${query[name]} `,
                h(
                    "a",
                    { href: href("runs", { ...query, [name]: null, cursor: null }), "aria-label": `Leave out ${name}` },
                    "×",
                ),
            ),
        ),
    )
}

function showCounts(counts, query) {
    const chosen = new Set(query.state)
    const shown = STATES.filter((state) => counts[state] || chosen.has(state))
    replace(
        $("#counts"),
        shown.map((state) => {
            const next = chosen.has(state) ? query.state.filter((one) => one !== state) : [...query.state, state]
            return h(
                "a.chip",
                {
                    href: href("runs", { ...query, state: next, cursor: null }),
                    "aria-current": chosen.has(state) ? "true" : null,
                    dataset: { state },
                },
                badge(state),
                h("span.number", {}, (counts[state] ?? 0).toLocaleString("en")),
            )
        }),
    )
}

let table = null
let shown = []

function showRuns(answer, query) {
    shown = answer.runs
    const isFiltered = Object.keys(query).some((name) => name !== "limit" && name !== "order" && query[name]?.length)
    if (!shown.length) {
        table = null
        replace(
            place,
            isFiltered
                ? empty("No run fits.", h("a", { href: href("runs") }, "Show all runs"))
                : empty(
                      "Nothing has run yet.",
                      "Choose a ",
                      h("a", { href: href("") }, "flow"),
                      " and run it; or ",
                      h("code", {}, "nbflow run report.ipynb"),
                      " in a terminal.",
                  ),
        )
    } else {
        table = runTable(shown, { label: "Runs" })
        replace(place, table.node)
    }
    showBulk($("#bulk"), shown, { filters: toRequest(query), done: () => load() })
    replace(
        pager,
        query.cursor && h("a.button", { href: href("runs", { ...query, cursor: null }) }, "« First page"),
        query.cursor && h("button", { type: "button", onclick: () => history.back() }, "‹ Back"),
        answer.next &&
            h("a.button", { href: href("runs", { ...query, cursor: answer.next }), rel: "next" }, "Next page ›"),
    )
}

async function load() {
    const query = readAddress()
    showFilters(query)
    const wanted = toRequest(query)
    const { state, cursor, limit, order, ...countable } = wanted
    const [answer, { counts, total }] = await Promise.all([get("runs", wanted), get("runs/counts", countable)])
    showRuns(answer, query)
    showCounts(counts, query)
    $("#total").textContent = total ? total.toLocaleString("en") : ""
    document.body.dataset.ready = "yes"
}

const fail = (error) => replace(place, empty("The runs can't be shown.", error.message))

/** Within the page: the frame stays, only the rows change. */
function go(address) {
    history.pushState(null, "", address)
    place.setAttribute("aria-busy", "true")
    load()
        .catch(fail)
        .finally(() => place.removeAttribute("aria-busy"))
}

function apply() {
    const query = readAddress()
    for (const name of FIELDS) {
        const { value, dataset } = form.elements[name]
        query[name] = value === (dataset.default ?? "") ? null : value
    }
    go(href("runs", { ...query, cursor: null }))
}

let timer = 0
form.addEventListener("input", () => {
    clearTimeout(timer)
    timer = setTimeout(apply, 300)
})
form.addEventListener("submit", (event) => {
    event.preventDefault()
    clearTimeout(timer)
    apply()
})
document.addEventListener("click", (event) => {
    const link = event.target.closest("#counts a, #pager a, #fixed a")
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    const state = link.dataset.state
    go(link.href)
    if (link.rel === "next") window.scrollTo({ top: 0 })
    if (state) $(`#counts [data-state="${state}"]`)?.focus()
})
window.addEventListener("popstate", () => load().catch(fail))

load().catch(fail)
get("flows")
    .then(({ flows }) =>
        replace(
            $("#flow-names"),
            flows.map((flow) => h("option", { value: flow.flow })),
        ),
    )
    .catch(() => {})

poll(async () => {
    const query = readAddress()
    const isFirst = !query.cursor
    const isLive = shown.some((run) => !TERMINAL.has(run.state))
    if (!isFirst && !isLive) return
    const wanted = toRequest(query)
    const { state, cursor, limit, order, ...countable } = wanted
    const [answer, { counts, total }] = await Promise.all([get("runs", wanted), get("runs/counts", countable)])
    if (JSON.stringify(readAddress()) !== JSON.stringify(query)) return
    const isSameRows =
        answer.runs.length === shown.length && answer.runs.every((run, index) => run.id === shown[index].id)
    if (isSameRows && table) {
        const changed = answer.runs.filter((run, index) => !TERMINAL.has(run.state) || run.state !== shown[index].state)
        updateRows(table, changed)
        shown = answer.runs
        if (!$("#bulk").contains(document.activeElement))
            showBulk($("#bulk"), shown, { filters: toRequest(query), done: () => load() })
    } else if (!place.contains(document.activeElement)) showRuns(answer, query)
    if (!$("#counts").contains(document.activeElement)) showCounts(counts, query)
    $("#total").textContent = total ? total.toLocaleString("en") : ""
}, 4)
