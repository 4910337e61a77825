// Backfills as rows, and their bar: how many of their runs are in each state.
import { STATES, badge, h, lookOf, moment, wordsOf } from "./dom.js"
import { flowPath, href } from "./api.js"

/** Parts as wide as they are many; the text beside it says the same. */
export function stateBar(counts, total) {
    const words = STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${wordsOf(state)}`)
    const bar = h("span.states", {
        role: "img",
        "aria-label": words.join(", ") || "no runs yet",
        title: words.join(", "),
    })
    const order = [
        "completed",
        "skipped",
        "failed",
        "crashed",
        "timed_out",
        "cancelled",
        "cancelling",
        "running",
        "pending",
        "scheduled",
    ]
    for (const state of order) {
        if (!counts[state]) continue
        const part = h("span", { dataset: { state: lookOf(state) } })
        part.style.flexGrow = String(counts[state] / Math.max(total, 1))
        bar.append(part)
    }
    return bar
}

export function backfillTable(backfills, { hasFlow = true } = {}) {
    const heads = ["State", "Backfill", ...(hasFlow ? ["Flow"] : []), "Progress", "Done", "Failed", "Created"]
    return h(
        "div.scroll",
        { tabindex: "0", role: "region", "aria-label": "Backfills" },
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
                        h("th", { scope: "col", class: ["Done", "Failed"].includes(name) ? "number" : null }, name),
                    ),
                ),
            ),
            h(
                "tbody",
                {},
                backfills.map((one) =>
                    h(
                        "tr",
                        {},
                        h("td", {}, badge(one.state)),
                        h("td", {}, h("a.strong", { href: href(`backfills/${one.id}`) }, one.name)),
                        hasFlow &&
                            h(
                                "td.clip",
                                { title: one.flow },
                                one.flow.startsWith("/")
                                    ? one.flow.split("/").at(-1)
                                    : h("a", { href: `${href(flowPath(one.flow))}#backfill` }, one.flow),
                            ),
                        h("td.wide", {}, stateBar(one.counts, one.total)),
                        h("td.number", {}, `${one.done.toLocaleString("en")} of ${one.total.toLocaleString("en")}`),
                        h("td.number", {}, one.failed ? one.failed.toLocaleString("en") : "–"),
                        h("td", {}, moment(one.created)),
                    ),
                ),
            ),
        ),
    )
}
