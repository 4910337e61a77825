// One run: how it goes, what it was given, what it says, what it leaves.
import {
    $,
    TERMINAL,
    act,
    add,
    ago,
    ask,
    badge,
    copy,
    duration,
    empty,
    h,
    moment,
    replace,
    say,
    stamp,
    tabs,
    wordsOf,
} from "./dom.js"
import { apiHref, call, flowPath, get, href, parse, post } from "./api.js"
import { follow } from "./events.js"
import { LogView } from "./log.js"
import { Timeline } from "./timeline.js"
import { resultList, valuesTable } from "./values.js"

const id = $("main").dataset.run
const log = new LogView({
    view: $("#log"),
    status: $("#log-count"),
    follow: $("#follow"),
    filter: $("#log-filter"),
    stream: $("#log-stream"),
})
const timeline = new Timeline($("#timeline"))
let run = null
const schema = parse($("#schema").textContent)
let shownTab = "log"

const isOver = () => TERMINAL.has(run.state)
const exact = (iso) => h("span.number", { title: ago(iso) }, stamp(iso))
const fact = (name, ...value) => [h("dt", {}, name), h("dd", {}, value)]

function showHead() {
    document.title = `${run.name} · ${wordsOf(run.state)} · nbflow`
    $("#name").textContent = run.name
    replace($("#state"), badge(run.state))
    $("#message").textContent = run.state === "completed" ? "" : run.message
    $("#message").hidden = !$("#message").textContent
    const crumb = run.flow
        ? h("a", { href: href(flowPath(run.flow)) }, run.flow)
        : h("span", { title: run.source_path }, run.source_path.split("/").at(-1))
    replace($("#crumb"), h("a", { href: href("runs") }, "Runs"), " / ", crumb)
    showActions()
    showProgress()
}

function editHref() {
    if (run.flow) return href(flowPath(run.flow), { from: run.id })
    return href("notebook", { from: run.id })
}

function showActions() {
    const live = !isOver()
    const buttons = [
        live && button("Cancel", cancel, "danger", run.state === "cancelling" || run.cancel_reason !== null),
        !live && ["failed", "crashed", "timed_out", "cancelled"].includes(run.state) && button("Retry", retry),
        h("a.button", { href: editHref(), id: "edit" }, "Run again with edits…"),
        !live && button("Run again", rerun),
    ]
    const place = $("#actions")
    const signature = `${run.state}${run.cancel_reason}`
    if (place.dataset.shown === signature) return
    place.dataset.shown = signature
    replace(place, buttons)
}

function button(words, action, kind = "", disabled = false) {
    const node = h("button", { type: "button", class: kind || null, disabled }, words)
    node.addEventListener("click", () => act(node, action))
    return node
}

async function cancel() {
    if (
        run.state === "running" &&
        !(await ask("Cancel this run? What its notebook has written so far stays.", "Cancel the run"))
    )
        return
    run = { ...run, ...(await post(`runs/${id}/cancel`)) }
    say("Cancel asked for.")
    show()
}

async function retry() {
    await post(`runs/${id}/retry`)
    location.reload()
}

async function rerun() {
    const made = await post(`runs/${id}/rerun`, {})
    location.assign(href(`runs/${made.id}`))
}

function showProgress() {
    const bar = $("#progress")
    const isShown = !isOver() && timeline.cells > 0
    bar.hidden = !isShown
    if (!isShown) return
    $("progress", bar).max = timeline.cells
    $("progress", bar).value = timeline.done
    const current = timeline.current
    $("#progress-text").textContent = current
        ? `cell ${current.number} of ${timeline.cells}${current.title ? `: ${current.title}` : ""}`
        : "starting"
}

function showFacts() {
    const took = run.duration ?? (run.started ? (Date.now() - Date.parse(run.started)) / 1000 : null)
    replace(
        $("#facts"),
        fact(
            "Run",
            h("code", {}, run.id),
            " ",
            h("button.link", { type: "button", onclick: (event) => copy(run.id, event.currentTarget) }, "copy"),
        ),
        run.flow &&
            fact(
                "Flow",
                h("a", { href: href(flowPath(run.flow)) }, run.flow),
                run.flow_version ? ` v${run.flow_version}` : "",
            ),
        fact("Created", moment(run.created)),
        run.scheduled_time && fact("Due", exact(run.scheduled_time)),
        run.started && fact("Started", exact(run.started)),
        run.ended && fact("Ended", exact(run.ended)),
        took !== null && fact(isOver() ? "Took" : "Running for", h("span", { id: "took" }, duration(took))),
        run.attempts > 1 && fact("Attempts", String(run.attempts)),
        run.tags.length > 0 &&
            fact(
                "Tags",
                run.tags.map((tag) => [h("a.tag", { href: href("runs", { tag }) }, tag), " "]),
            ),
        run.schedule_id &&
            fact("Schedule", h("a", { href: href("runs", { schedule_id: run.schedule_id }) }, "runs of this schedule")),
        run.backfill_id && fact("Backfill", h("a", { href: href(`backfills/${run.backfill_id}`) }, run.backfill_id)),
        run.parent_id && fact("Parent", h("a", { href: href(`runs/${run.parent_id}`) }, run.parent_id)),
        run.reused_run_id && fact("Stands for", h("a", { href: href(`runs/${run.reused_run_id}`) }, run.reused_run_id)),
        run.cancel_reason && fact("Cancelled by", run.cancel_reason),
    )
    const differing = Object.entries(run.options ?? {}).filter(
        ([name, value]) => name in OPTION_WORDS && value !== OPTION_WORDS[name][1] && value !== null,
    )
    add(
        $("#facts"),
        differing.map(([name, value]) => fact(OPTION_WORDS[name][0], String(value))),
    )
}

const OPTION_WORDS = {
    kernel: ["Kernel", null],
    cwd: ["Folder", null],
    output: ["Output", null],
    engine: ["Engine", "local"],
    timeout: ["Limit", null],
    cell_timeout: ["Limit a cell", null],
    retries: ["Retries", 0],
}

function showFailure() {
    const failure = run.state === "cancelled" ? null : run.failure
    $("#failure").hidden = !failure
    if (run.state === "cancelled") $("#message").textContent = tellCancelled()
    if (!failure) return
    $("#message").hidden = true
    replace(
        $("#failure"),
        h(
            "p",
            {},
            h("strong", {}, failure.ename ? `${failure.ename}: ` : ""),
            failure.ename ? failure.evalue : failure.message,
        ),
        failure.ename &&
            failure.cell_index !== null &&
            h("p.quiet", {}, `in cell ${failure.cell_index + 1} of the notebook`),
        failure.traceback &&
            h("details", {}, h("summary", {}, "Traceback"), h("pre.code", { tabindex: "0" }, failure.traceback)),
    )
}

// Its notebook did nothing wrong: how it was stopped is of less use than by whom, and where.
function tellCancelled() {
    const by = { user: "Cancelled", parent: "Cancelled with the run that made it" }[run.cancel_reason]
    const cell = run.failure?.cell_index ?? null
    return `${by ?? `Cancelled by ${run.cancel_reason}`}${cell === null ? " before it began" : ` in cell ${cell + 1}`}.`
}

function showResults() {
    const names = Object.keys(run.results ?? {})
    $("#tab-results .number").textContent = names.length || ""
    if (shownTab !== "results") return
    replace(
        $("#results"),
        names.length
            ? resultList(run.results)
            : empty("No results.", "A notebook records one by ", h("code", {}, 'nbflow.record("rows", 1234)'), "."),
    )
}

function show() {
    showHead()
    showFacts()
    showFailure()
    replace($("#values"), valuesTable(run, schema))
    showResults()
}

// -- tabs -------------------------------------------------------------------------------------------------------------

async function showNotebook() {
    const place = $("#notebook")
    const isThere = Boolean(isOver() ? run.output_path : timeline.rows.length)
    $("#notebook-download").hidden = !isThere
    $("#notebook-again").hidden = !isThere || isOver()
    if (!isThere) {
        place.dataset.shown = ""
        replace(place, empty(isOver() ? "This run left no notebook." : "The notebook appears when the run has started."))
        return
    }
    if (place.dataset.shown === run.state) return
    place.dataset.shown = run.state
    replace(place, h("p.quiet.pad", { role: "status" }, "Making a page of it…"))
    const src = apiHref(`runs/${id}/report`)
    try {
        await call("HEAD", `runs/${id}/report`)
    } catch (error) {
        if ([404, 409].includes(error.status) && !isOver()) {
            replace(place, empty("The notebook appears when its first cells are saved."))
            place.dataset.shown = ""
            setTimeout(() => shownTab === "notebook" && showTab("notebook"), 2000)
        } else replace(place, empty("The notebook can't be shown.", error.status === 404 ? "It is gone." : error.message))
        return
    }
    const sandbox = "allow-scripts"
    replace(place, h("iframe", { src, sandbox, referrerpolicy: "no-referrer", title: "Executed notebook" }))
}

async function showTree() {
    const { runs } = await get(`runs/${id}/tree`)
    $("#tab-tree .number").textContent = runs.length > 1 ? runs.length : ""
    if (shownTab !== "tree") return
    if (runs.length < 2) {
        replace(
            $("#tree"),
            empty(
                "No children.",
                "A notebook starts one by ",
                h("code", {}, 'nbflow.flow("child.ipynb").submit(…)'),
                ".",
            ),
        )
        return
    }
    const below = new Map()
    for (const one of runs) below.set(one.parent_id, [...(below.get(one.parent_id) ?? []), one])
    const ids = new Set(runs.map((one) => one.id))
    const branch = (one) =>
        h(
            "li",
            {},
            h(
                "span.branch",
                { "aria-current": one.id === id ? "true" : null },
                badge(one.state),
                " ",
                one.id === id ? h("strong", {}, one.name) : h("a", { href: href(`runs/${one.id}`) }, one.name),
                " ",
                h("span.quiet.number", {}, duration(one.duration)),
            ),
            below.has(one.id) && h("ul", {}, below.get(one.id).map(branch)),
        )
    replace($("#tree"), h("ul.tree", {}, runs.filter((one) => !ids.has(one.parent_id)).map(branch)))
}

function showTab(name) {
    shownTab = name
    if (!run) return
    if (name === "notebook") showNotebook().catch((error) => say(error.message, "error"))
    if (name === "tree") showTree().catch((error) => say(error.message, "error"))
    if (name === "results") showResults()
    if (name === "timeline") drawTimeline()
    if (name === "log") log.stick()
}

const drawTimeline = () => {
    if (shownTab !== "timeline") return
    if (timeline.rows.length) timeline.draw(run.created, run.started, isOver() ? Date.parse(run.ended) : Date.now())
    else replace($("#timeline"), empty(isOver() ? "This run was never started." : "The run waits to be started."))
}

// -- live -------------------------------------------------------------------------------------------------------------

async function refresh() {
    run = await get(`runs/${id}`)
    show()
    showTab(shownTab)
}

let isAsked = false
function refreshSoon() {
    if (isAsked) return
    isAsked = true
    setTimeout(() => {
        isAsked = false
        refresh().catch(() => {})
    }, 150)
}

function take(event) {
    log.take(event)
    if (timeline.take(event)) {
        showProgress()
        if (!isOver()) drawTimelineSoon()
    }
    if (event.kind === "started" && shownTab === "notebook") showTab("notebook")
    if (event.kind === "state") {
        if (event.data.state !== run.state) refreshSoon()
    } else if (event.kind === "values" && !isOver()) {
        run.values = event.data.values
        replace($("#values"), valuesTable(run, schema))
    } else if (event.kind === "renamed" && !isOver()) {
        run.name = event.data.name
        showHead()
    } else if (event.kind === "result" && !isOver()) {
        run.results = { ...run.results, [event.data.name]: event.data.value }
        showResults()
    }
}

let isDrawn = false
function drawTimelineSoon() {
    if (isDrawn) return
    isDrawn = true
    setTimeout(() => {
        isDrawn = false
        drawTimeline()
    }, 200)
}

function connect() {
    const link = $("#connection")
    follow(id, {
        take,
        end() {
            link.hidden = true
            if (isOver()) {
                showProgress()
                drawTimeline()
            } else refreshSoon()
            log.sayNothing("It printed nothing.")
        },
        lost(isFinal) {
            link.hidden = false
            link.textContent = isFinal ? "The connection is lost. Reload to go on." : "Connection lost; trying again…"
        },
        back: () => (link.hidden = true),
    })
}

async function start() {
    run = await get(`runs/${id}`)
    show()
    $("#log-download").href = apiHref(`runs/${id}/logs`)
    $("#log-download").download = `${run.name}.log`
    $("#notebook-download").href = apiHref(`runs/${id}/notebook`)
    $("#notebook-again").addEventListener("click", (event) => {
        $("#notebook").dataset.shown = ""
        act(event.currentTarget, showNotebook)
    })
    log.sayNothing(isOver() ? "It printed nothing." : "Waiting for its first line…")
    tabs($("#tabs"), showTab).start()
    connect()
    setInterval(() => {
        if (!isOver() && run.started && $("#took"))
            $("#took").textContent = duration((Date.now() - Date.parse(run.started)) / 1000)
        if (!isOver() && !document.hidden) drawTimeline()
    }, 1000)
    document.body.dataset.ready = "yes"
    await showTree()
}

start().catch((error) => replace($("main"), empty("This run can't be shown.", error.message)))
