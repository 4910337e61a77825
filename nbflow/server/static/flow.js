// A flow: run it, see its runs, backfill it, schedule it, compare its versions.
import { $, act, add, ask, count, empty, h, moment, poll, replace, say, tabs } from "./dom.js"
import { apiHref, call, flowPath, get, href } from "./api.js"
import { RunForm } from "./runform.js"
import { ScheduleForm } from "./scheduleform.js"
import { showSchedules } from "./schedulelist.js"
import { runTable, updateRows } from "./runlist.js"
import { readTarget } from "./target.js"

let target = null
let runForm = null
let scheduleForm = null
let table = null
let shown = ""

function showHead() {
    const { detail } = target
    if (target.flow) {
        const newest = detail.versions?.at(-1)?.version ?? detail.version
        $("#version").textContent = `v${detail.version}`
        if (detail.version < newest)
            replace(
                $("#drift"),
                h(
                    "div.notice",
                    {},
                    `This is version ${detail.version}; the newest is ${newest}. `,
                    h("a", { href: href(flowPath(target.flow)) }, "Use the newest"),
                ),
            )
        if (detail.drift?.length && detail.version >= newest)
            replace(
                $("#drift"),
                h(
                    "details.notice",
                    {},
                    h(
                        "summary",
                        {},
                        "The notebook's file has changed since it was registered. Runs use the registered version.",
                    ),
                    h(
                        "ul",
                        {},
                        detail.drift.map(({ message }) => h("li", {}, message)),
                    ),
                ),
            )
    }
    const isUploaded = target.flow && detail.source_path?.endsWith(`/uploads/${target.flow}.ipynb`)
    const source = isUploaded ? "uploaded" : detail.source_path
    const about = [detail.kernel && `kernel ${detail.kernel}`, source].filter(Boolean)
    $("#about").textContent = about.join(" · ")
}

// -- runs -------------------------------------------------------------------------------------------------------------

async function loadRuns() {
    if (!target.flow) return
    const { runs } = await get("runs", { flow: target.flow, limit: 50 })
    runForm.offerRecent(runs)
    const place = $("#flow-runs")
    $("#runs-all").href = href("runs", { flow: target.flow })
    $("#runs-all").hidden = !runs.length
    const ids = runs.map((run) => run.id).join()
    if (table && place.dataset.shown === ids) return updateRows(table, runs)
    place.dataset.shown = ids
    if (!runs.length)
        return replace(place, empty("It has not run yet.", "Fill in the form under Run, and press the button."))
    table = runTable(runs, { hasFlow: false, label: "Runs of this flow" })
    return replace(place, table.node)
}

// -- schedules --------------------------------------------------------------------------------------------------------

async function loadSchedules() {
    const reference = target.flow ?? target.path
    const { schedules } = await get("schedules", { flow: reference })
    const nothing = empty(
        "No schedule.",
        "A schedule runs this flow by itself: every day, every hour, or whenever a cron expression says.",
    )
    showSchedules(
        $("#flow-schedules"),
        schedules,
        { edit: (schedule) => openSchedule(schedule), changed: loadSchedules },
        nothing,
    )
    return schedules
}

function openSchedule(schedule = null) {
    scheduleForm ??= new ScheduleForm(target, loadSchedules)
    scheduleForm.open(schedule, runForm.parameters.collect().values)
}

// -- versions ---------------------------------------------------------------------------------------------------------

function showVersions() {
    const { detail, flow } = target
    const rows = [...(detail.versions ?? [])]
        .reverse()
        .map((one) =>
            h(
                "tr",
                {},
                h("td.number", {}, `v${one.version}`),
                h("td", {}, moment(one.registered)),
                h("td.code", { title: one.notebook_hash }, one.notebook_hash.slice(0, 12)),
                h("td.clip", { title: one.source_path }, one.source_path),
                h(
                    "td.end",
                    {},
                    h(
                        "a",
                        {
                            href: href(flowPath(flow), { version: one.version }),
                            "aria-label": `Run version ${one.version}`,
                        },
                        "run",
                    ),
                    " · ",
                    h(
                        "a",
                        {
                            href: apiHref(`${flowPath(flow)}/notebook`, { version: one.version }),
                            "aria-label": `Download version ${one.version}`,
                            download: "",
                        },
                        "download",
                    ),
                ),
            ),
        )
    const heads = ["Version", "Registered", "Content", "From", ""]
    replace(
        $("#flow-versions"),
        h(
            "div.scroll",
            { tabindex: "0", role: "region", "aria-label": "Versions" },
            h(
                "table.list",
                {},
                h(
                    "thead",
                    {},
                    h(
                        "tr",
                        {},
                        heads.map((name) => h("th", { scope: "col" }, name || h("span.offscreen", {}, "Actions"))),
                    ),
                ),
                h("tbody", {}, rows),
            ),
        ),
    )
}

async function upload(file) {
    const made = await call("PUT", flowPath(target.flow), file)
    if (made.version === target.detail.version) say("That is the newest version already.")
    else location.assign(`${href(flowPath(target.flow))}#versions`)
}

async function remove() {
    if (
        !(await ask(
            `Remove ${target.flow} with ${count(target.detail.versions.length, "version")}? Its runs stay.`,
            "Remove the flow",
        ))
    )
        return
    await call("DELETE", flowPath(target.flow))
    location.assign(href(""))
}

// -- all of it --------------------------------------------------------------------------------------------------------

async function showTab(name) {
    shown = name
    // what can be copied is what the form that is seen would do
    $("#copies-open").hidden = !["run", "backfill"].includes(name)
    runForm.describeOther = null
    if (name === "runs") await loadRuns()
    if (name === "schedules") await loadSchedules()
    if (name === "versions") showVersions()
    if (name !== "backfill") return
    const form = await (await import("./backfillform.js")).openBackfill(target)
    if (shown === "backfill") runForm.describeOther = () => form.describe()
}

async function start() {
    target = await readTarget()
    showHead()
    runForm = new RunForm(target)
    await runForm.fillFromAddress()
    $("#run").disabled = false
    const fail = (error) => say(error.message, "error")
    const chosen = tabs($("#tabs"), (name) => showTab(name).catch(fail))
    chosen.start()
    document.body.dataset.ready = "yes"
    $("#schedule-new")?.addEventListener("click", () => openSchedule())
    $("#upload")?.addEventListener(
        "change",
        (event) => event.target.files[0] && act(event.target, () => upload(event.target.files[0])),
    )
    $("#remove")?.addEventListener("click", (event) => act(event.currentTarget, remove))
    await loadRuns()
    poll(() => (shown === "runs" ? loadRuns() : Promise.resolve()), 4)
}

start().catch((error) => {
    replace($("#page-problem"), h("div.problem", { role: "alert" }, error.message))
    add($("#page-problem"), h("p", {}, h("a", { href: href("") }, "All flows")))
    $("#page-body").hidden = true
    $("#copies-open").hidden = true
})
