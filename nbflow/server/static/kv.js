// Key-value pairs: what notebooks keep from one run to the next.
import { $, act, ask, brief, empty, h, replace, say } from "./dom.js"
import { call, encode, get } from "./api.js"

const place = $("#pairs")
const form = $("#pair")

function read(text) {
    try {
        return JSON.parse(text)
    } catch {
        return text
    }
}

async function load() {
    const { pairs } = await get("kv")
    const entries = Object.entries(pairs)
    $("#total").textContent = entries.length || ""
    document.body.dataset.ready = "yes"
    if (!entries.length)
        return replace(
            place,
            empty(
                "No pairs.",
                "A notebook keeps one by ",
                h("code", {}, 'nbflow.kv["last"] = 3'),
                "; or save one here.",
            ),
        )
    return replace(
        place,
        h(
            "div.scroll",
            { tabindex: "0", role: "region", "aria-label": "Pairs" },
            h(
                "table.list",
                {},
                h(
                    "thead",
                    {},
                    h(
                        "tr",
                        {},
                        h("th", { scope: "col" }, "Key"),
                        h("th", { scope: "col" }, "Value"),
                        h("th", {}, h("span.offscreen", {}, "Actions")),
                    ),
                ),
                h("tbody", {}, entries.map(row)),
            ),
        ),
    )
}

function row([key, value]) {
    const edit = () => {
        form.elements.key.value = key
        form.elements.value.value = typeof value === "string" && read(value) === value ? value : JSON.stringify(value)
        form.elements.value.focus()
    }
    const remove = async () => {
        if (!(await ask(`Remove ${key}?`, "Remove it"))) return
        await call("DELETE", `kv/${encode(key)}`)
        await load()
    }
    return h(
        "tr",
        {},
        h("td.code", {}, key),
        h("td.code.clip", { title: brief(value, 400) }, brief(value, 120)),
        h(
            "td.end",
            {},
            h("button.small", { type: "button", onclick: edit, "aria-label": `Edit ${key}` }, "Edit"),
            " ",
            h(
                "button.small.danger",
                { type: "button", onclick: (event) => act(event.currentTarget, remove), "aria-label": `Remove ${key}` },
                "Remove",
            ),
        ),
    )
}

form.addEventListener("submit", (event) => {
    event.preventDefault()
    act($("button", form), async () => {
        const key = form.elements.key.value.trim()
        if (!key) return form.elements.key.focus()
        await call("PUT", `kv/${encode(key)}`, read(form.elements.value.value))
        say(`Saved ${key}.`)
        form.reset()
        return load()
    })
})
load().catch((error) => replace(place, empty("The pairs can't be shown.", error.message)))
