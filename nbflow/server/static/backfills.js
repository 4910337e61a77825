// All backfills.
import { $, empty, h, poll, replace } from "./dom.js"
import { get, href } from "./api.js"
import { backfillTable } from "./backfilllist.js"
import { offerFlows } from "./flowpicker.js"

const place = $("#backfills")

async function load() {
    const { backfills } = await get("backfills", { limit: 200 })
    document.body.dataset.ready = "yes"
    $("#total").textContent = backfills.length || ""
    const shown = JSON.stringify(backfills.map(({ id, state, done, active }) => [id, state, done, active]))
    if (place.dataset.shown === shown) return
    place.dataset.shown = shown
    replace(
        place,
        backfills.length
            ? backfillTable(backfills)
            : empty(
                  "No backfills.",
                  "Open a ",
                  h("a", { href: href("") }, "flow"),
                  ", and choose Backfill: it then runs for every day of a month, every region, or every row you name.",
              ),
    )
}

offerFlows($("#new"), "New backfill of", "backfill")
load().catch((error) => replace(place, empty("The backfills can't be shown.", error.message)))
poll(load, 4)
