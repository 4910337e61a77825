// The values of a run: what was given, what the notebook had itself, and what it recorded.
import { h } from "./dom.js"
import { textOf } from "./controls.js"

const show = (value) =>
    typeof value === "string"
        ? value || '""'
        : JSON.stringify(value, null, value && typeof value === "object" && JSON.stringify(value).length > 60 ? 1 : 0)

function row(name, value, how, help) {
    return h(
        "tr",
        {},
        h("th", { scope: "row", title: help || null }, name),
        h("td.code.value", {}, show(value)),
        h("td", {}, h(`span.how.${how.split(" ")[0]}`, {}, how)),
    )
}

/** Values used, those that the caller gave first; *schema* (may be absent) tells the rest: default, or computed. */
export function valuesTable(run, schema) {
    const given = run.parameters ?? {}
    const used = run.values ?? {}
    const properties = schema?.properties ?? {}
    const names = [...new Set([...Object.keys(given), ...Object.keys(properties), ...Object.keys(used)])]
    const rows = names.map((name) => {
        const property = properties[name] ?? {}
        const extra = property["x-nbflow"] ?? {}
        if (name in given)
            return row(
                name,
                name in used && given[name] !== "********" ? used[name] : given[name],
                "given",
                property.description,
            )
        if (name in used) return row(name, used[name], extra.computed ? "computed" : "default", property.description)
        if (extra.computed)
            return row(
                name,
                property.format === "password" ? "********" : extra.computed,
                run.values ? "default" : "computed later",
                property.description,
            )
        const unknown = property.format === "password" ? "not given" : (extra.default_text ?? "not known")
        return row(name, "default" in property ? property.default : unknown, "default", property.description)
    })
    if (!rows.length) return h("p.quiet", {}, "This notebook has no parameters.")
    return h(
        "table.values",
        {},
        h("caption.offscreen", {}, "Values used"),
        h(
            "thead.offscreen",
            {},
            h(
                "tr",
                {},
                ["Name", "Value", "From"].map((head) => h("th", { scope: "col" }, head)),
            ),
        ),
        h("tbody", {}, rows),
    )
}

function frame({ schema, data }) {
    const columns = schema.fields.map(({ name }) => name)
    const hidden = new Set(schema.fields.length > 1 && schema.primaryKey?.[0] === "index" ? ["index"] : [])
    const shown = columns.filter((name) => !hidden.has(name))
    const most = 200
    return h(
        "div.scroll",
        { tabindex: "0", role: "region", "aria-label": "Table" },
        h(
            "table.list",
            {},
            h(
                "thead",
                {},
                h(
                    "tr",
                    {},
                    shown.map((name) => h("th", { scope: "col" }, textOf(name))),
                ),
            ),
            h(
                "tbody",
                {},
                data.slice(0, most).map((record) =>
                    h(
                        "tr",
                        {},
                        shown.map((name) =>
                            h(
                                "td",
                                { class: typeof record[name] === "number" ? "number" : null },
                                textOf(record[name]),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        data.length > most && h("p.quiet.pad", {}, `${data.length - most} more rows are in the executed notebook.`),
    )
}

const isBase64 = (text) => typeof text === "string" && /^[A-Za-z0-9+/=\s]+$/.test(text)

function result(value) {
    if (value && typeof value === "object") {
        if (value.$table) {
            try {
                return frame(typeof value.$table === "string" ? JSON.parse(value.$table) : value.$table)
            } catch {
                // shown as JSON below
            }
        }
        if (isBase64(value.$image))
            return h("img", { src: `data:image/png;base64,${value.$image}`, alt: "recorded image" })
        if (value.$float) return h("code", {}, value.$float)
    }
    return h("pre.code", {}, show(value))
}

export const resultList = (results) =>
    Object.entries(results).map(([name, value]) => h("section.result", {}, h("h2", {}, name), result(value)))
