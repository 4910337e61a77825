// From a page of all flows' schedules or backfills to the form that makes one more, of the flow that is chosen.
import { h, replace, say } from "./dom.js"
import { flowPath, get, href } from "./api.js"

/** Fills *place* where there are flows; *tab* of the chosen flow's page is opened. */
export async function offerFlows(place, words, tab) {
    try {
        const { flows } = await get("flows")
        if (!flows.length) return
        const select = h(
            "select",
            { "aria-label": words },
            flows.map(({ flow }) => h("option", { value: flow }, flow)),
        )
        const go = (event) => {
            event.preventDefault()
            location.assign(`${href(flowPath(select.value))}#${tab}`)
        }
        replace(place, h("form.row", { onsubmit: go }, h("span.quiet", {}, words), select, h("button", {}, "Go on…")))
    } catch (error) {
        say(error.message, "error")
    }
}
