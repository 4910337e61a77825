// All schedules of the store.
import { $, empty, h, poll, replace } from "./dom.js"
import { get, href } from "./api.js"
import { offerFlows } from "./flowpicker.js"
import { showSchedules } from "./schedulelist.js"

const place = $("#schedules")

async function load() {
    const { schedules } = await get("schedules")
    if (
        place.contains(document.activeElement) &&
        place.dataset.shown === JSON.stringify(schedules.map(({ id, paused }) => [id, paused]))
    )
        return
    place.dataset.shown = JSON.stringify(schedules.map(({ id, paused }) => [id, paused]))
    const edit = (schedule) => location.assign(`${href(`schedules/${schedule.id}`)}#edit`)
    const nothing = empty(
        "No schedules.",
        "Open a ",
        h("a", { href: href("") }, "flow"),
        ", and choose Schedules: it then runs by itself, with the values you give it.",
    )
    showSchedules(place, schedules, { edit, changed: load, hasFlow: true }, nothing)
    document.body.dataset.ready = "yes"
}

offerFlows($("#new"), "New schedule of", "schedules")
load().catch((error) => replace(place, empty("The schedules can't be shown.", error.message)))
poll(load, 15)
