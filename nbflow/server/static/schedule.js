// One schedule: changed here whatever it runs, a registered flow or a notebook that is none.
import { $, $$, add, empty, h, poll, replace, say } from "./dom.js"
import { get, href, parse } from "./api.js"
import { runTable } from "./runlist.js"
import { ScheduleForm } from "./scheduleform.js"
import { scheduleCard } from "./schedulelist.js"

const id = $("main").dataset.schedule
const target = parse($("#target").textContent)
let form = null
let schedule = null

function showProblem() {
    const place = $("#problem")
    replace(place)
    if (!schedule.problem) return
    const advice = target
        ? "Edit it, or pause it."
        : "Without its notebook it can't be edited here, but paused or removed."
    add(place, h("div.problem", {}, h("strong", {}, "It can't run any more."), `\n${schedule.problem}\n${advice}`))
}

function edit() {
    form ??= new ScheduleForm(target, () => load(true))
    form.open(schedule)
}

async function load(isChanged = false) {
    const [known, { runs, next }] = await Promise.all([
        get(`schedules/${id}`),
        get("runs", { schedule_id: id, limit: 25 }),
    ])
    schedule = known
    showProblem()
    const card = scheduleCard(schedule, {
        edit: target && edit,
        hasFlow: true,
        changed: () => load(true).then(focusToggle, leave),
    })
    const place = $("#card")
    // what is open or held by the keyboard stays as it is
    if (isChanged || (!place.contains(document.activeElement) && !$("details[open]", place))) replace(place, card)
    replace(
        $("#runs"),
        runs.length ? runTable(runs, { hasFlow: false, label: "Runs of this schedule" }).node : empty("No run yet."),
        next && h("div.pager", {}, h("a.button", { href: href("runs", { schedule_id: id }) }, "All its runs")),
    )
}

// The button that takes back what was just done.
const focusToggle = () => $$("#card button").at(-2)?.focus()
const leave = (error) => (error.status === 404 ? location.assign(href("schedules")) : say(error.message, "error"))

load()
    .then(() => {
        document.body.dataset.ready = "yes"
        if (location.hash === "#edit" && target) edit()
        poll(load, 10)
    })
    .catch((error) => replace($("main"), empty("This schedule can't be shown.", error.message)))
