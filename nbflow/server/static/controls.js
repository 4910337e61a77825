// One native control for each kind of value. A control is { node, input, read, write, clear, isEmpty }:
// `read` gives a JSON value, undefined where none is given, or throws Error with what is wrong.
import { h } from "./dom.js"

const isRaw = (value) => value !== null && typeof value === "object" && "rawJSON" in value
export const textOf = (value) => {
    if (value === null || value === undefined) return ""
    if (isRaw(value)) return value.rawJSON
    return typeof value === "string" ? value : JSON.stringify(value)
}
export const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other)

/** A schema without its null: `{ schema, isNullable }`; of a union of several, the union. */
export function unwrap(schema) {
    if (!schema.anyOf) {
        const isNullable = Array.isArray(schema.enum) && schema.enum.includes(null)
        return { schema, isNullable: isNullable || schema.type === "null" }
    }
    const members = schema.anyOf.filter((member) => member.type !== "null")
    const inner = members.length === 1 ? members[0] : { anyOf: members }
    return { schema: inner, isNullable: members.length < schema.anyOf.length }
}

const SCALARS = new Set(["string", "number", "integer", "boolean"])
const FORMATS = { date: "date", time: "time", "date-time": "datetime", password: "secret", decimal: "decimal" }

/** The kind of control for a schema that has no null in it. */
export function kindOf(schema) {
    if (schema.enum) return "choice"
    if (FORMATS[schema.format]) return FORMATS[schema.format]
    if (schema.type === "boolean") return "check"
    if (schema.type === "integer" || schema.type === "number") return "number"
    if (schema.type === "string") return "text"
    if (schema.type === "array" && schema.items?.enum) return "choices"
    const items = schema.items
    if (schema.type === "array" && items && !items.enum && !schema.prefixItems && SCALARS.has(items.type))
        return "lines"
    return schema.type === "array" || schema.type === "object" ? "json" : "free"
}

function readNumber(text, schema) {
    const trimmed = text.trim()
    if (trimmed === "") return undefined
    if (schema.type === "integer" && /^[+-]?\d+$/.test(trimmed)) {
        const number = Number(trimmed)
        if (Number.isSafeInteger(number)) return number
        return JSON.rawJSON ? JSON.rawJSON(trimmed.replace(/^\+/, "").replace(/^(-?)0+(?=\d)/, "$1")) : trimmed
    }
    const number = Number(trimmed.replace(",", "."))
    return Number.isFinite(number) ? number : trimmed // the server's words are better than ours
}

/** An item of a list, or a value typed in an address or a table: by its type, not by its quotes. */
export function readText(text, schema) {
    const { schema: inner, isNullable } = unwrap(schema)
    if (isNullable && (text === "" || text === "null" || text === "None")) return null
    if (inner.enum) return inner.enum.find((one) => textOf(one) === text) ?? text
    switch (kindOf(inner)) {
        case "number":
            return readNumber(text, inner) ?? text
        case "check":
            return { true: true, True: true, 1: true, false: false, False: false, 0: false }[text] ?? text
        case "lines":
        case "choices":
            if (!text.trimStart().startsWith("[")) return text.split(/[\n,]/).map((item) => readText(item, inner.items))
        // falls through
        case "json":
        case "free":
            try {
                return JSON.parse(text)
            } catch {
                return text
            }
        default:
            return text
    }
}

const makers = {
    choice(schema, { hasEmpty }) {
        const values = schema.enum.filter((value) => value !== null)
        const select = h(
            "select",
            {},
            hasEmpty && h("option", { value: "" }, "choose…"),
            values.map((value, index) => h("option", { value: String(index) }, textOf(value))),
        )
        return {
            node: select,
            read: () => (select.value === "" ? undefined : values[Number(select.value)]),
            write(value) {
                const index = values.findIndex((one) => isSame(one, value))
                select.value = index < 0 ? "" : String(index)
                return index >= 0
            },
            clear: () => (select.value = hasEmpty ? "" : "0"),
        }
    },
    check(schema, options) {
        if (options.hasEmpty) {
            const control = makers.choice({ enum: [true, false] }, options)
            return control
        }
        const box = h("input", { type: "checkbox" })
        const write = (value) => {
            box.checked = value === true
            return typeof value === "boolean"
        }
        return { node: box, read: () => box.checked, write, clear: () => (box.checked = false), isInline: true }
    },
    number(schema, options) {
        const hint = options.widget
        const low = schema.minimum ?? schema.exclusiveMinimum ?? hint.minimum
        const high = schema.maximum ?? schema.exclusiveMaximum ?? hint.maximum
        const step = schema.multipleOf ?? hint.step ?? (schema.type === "integer" ? 1 : "any")
        const isPlain = options.sample === undefined || typeof options.sample === "number"
        const input = isPlain
            ? h("input.short", { type: "number", min: low, max: high, step })
            : h("input.short", { type: "text", inputmode: "numeric" })
        return {
            node: input,
            read() {
                if (input.validity.badInput) throw new Error("this is not a number")
                return readNumber(input.value, schema)
            },
            write: (value) => writeText(input, textOf(value)),
            clear: () => (input.value = ""),
        }
    },
    decimal: () => plain({ type: "text", inputmode: "decimal" }, "short"),
    date: () => plain({ type: "date" }, "short"),
    time: () => plain({ type: "time", step: 1 }, "short"),
    datetime() {
        const input = h("input", { type: "datetime-local", step: 1 })
        const zone = h("select", { "aria-label": "time zone" })
        const offsets = [...new Set(["", "+00:00", localOffset()])]
        const offer = (offset) => {
            if (![...zone.options].some((option) => option.value === offset))
                zone.append(h("option", { value: offset }, offset === "" ? "no time zone" : `UTC${offset}`))
            zone.value = offset
        }
        offsets.forEach(offer)
        zone.value = ""
        return {
            node: h("span.pair", {}, input, zone),
            input,
            read: () => (input.value === "" ? undefined : `${withSeconds(input.value)}${zone.value}`),
            write(value) {
                const found = /^(.+?[T ]\d\d:\d\d[^+\-Z]*)(Z|[+-]\d\d:\d\d)?$/.exec(textOf(value))
                offer(found?.[2] === "Z" ? "+00:00" : (found?.[2] ?? ""))
                return writeText(input, (found?.[1] ?? textOf(value)).replace(" ", "T"))
            },
            clear() {
                input.value = ""
                zone.value = ""
            },
        }
    },
    secret() {
        return plain({ type: "password", autocomplete: "new-password" })
    },
    text(schema, options) {
        const isLong = textOf(options.sample).includes("\n") || textOf(options.sample).length > 80
        if (isLong) return area(4)
        const input = h("input", { type: "text", spellcheck: "false" })
        const control = around(input)
        if (!options.suggestions?.length) return control
        const list = h(
            "datalist",
            { id: `${options.id}-list` },
            options.suggestions.map((value) => h("option", { value })),
        )
        input.setAttribute("list", list.id)
        return { ...control, node: h("span", {}, input, list), input }
    },
    lines(schema) {
        const control = area(3)
        const input = control.input
        return {
            ...control,
            read() {
                if (input.value === "") return undefined
                return input.value
                    .replace(/\n$/, "")
                    .split("\n")
                    .map((line) => readText(line, schema.items))
            },
            write(value) {
                if (!Array.isArray(value)) return false
                const lines = value.map(textOf)
                if (lines.some((line) => line.includes("\n")) || (lines.length && lines.join("") === "")) return false
                input.value = lines.join("\n")
                return true
            },
            note: "one per line",
        }
    },
    choices(schema, options) {
        const values = schema.items.enum
        const boxes = values.map((_, index) => h("input", { type: "checkbox", id: `${options.id}-${index}` }))
        const node = h(
            "span.checks",
            { role: "group" },
            values.map((value, index) => h("label", { for: boxes[index].id }, boxes[index], textOf(value))),
        )
        return {
            node,
            input: node,
            read: () => values.filter((_, index) => boxes[index].checked),
            write(value) {
                if (!Array.isArray(value)) return false
                boxes.forEach((box, index) => (box.checked = value.some((one) => isSame(one, values[index]))))
                return value.every((one) => values.some((known) => isSame(one, known)))
            },
            clear: () => boxes.forEach((box) => (box.checked = false)),
            isGroup: true,
        }
    },
    json(schema) {
        const control = area(3)
        const input = control.input
        input.classList.add("code")
        return {
            ...control,
            read() {
                if (input.value.trim() === "") return undefined
                try {
                    return JSON.parse(input.value)
                } catch (error) {
                    throw new Error(`not JSON: ${error.message}`)
                }
            },
            write(value) {
                const line = JSON.stringify(value)
                input.value = line.length > 70 ? JSON.stringify(value, null, 2) : line
                return true
            },
            note: schema.type === "object" ? 'JSON, such as {"key": 1}' : 'JSON, such as [1, "two"]',
        }
    },
    free() {
        const input = h("input", { type: "text", spellcheck: "false" })
        return {
            node: input,
            read() {
                if (input.value === "") return undefined
                try {
                    return JSON.parse(input.value)
                } catch {
                    return input.value
                }
            },
            write(value) {
                let isPlainText = typeof value === "string"
                try {
                    if (isPlainText) JSON.parse(value)
                    isPlainText = isPlainText && value === ""
                } catch {
                    // a text that is not JSON needs no quotes
                }
                input.value = isPlainText ? value : JSON.stringify(value)
                return true
            },
            clear: () => (input.value = ""),
            note: "JSON, or else text",
        }
    },
}

function localOffset() {
    const minutes = -new Date().getTimezoneOffset()
    const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
    return `${minutes < 0 ? "-" : "+"}${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`
}

const withSeconds = (text) => (/T\d\d:\d\d$/.test(text) ? `${text}:00` : text)

// A native picker drops what it can't show (a token, microseconds): such a value is then edited as text.
function writeText(input, text) {
    input.value = text
    if (text !== "" && input.value === "") {
        input.type = "text"
        input.value = text
    }
    return true
}

function around(input) {
    return {
        node: input,
        input,
        read: () => (input.value === "" ? undefined : input.value),
        write: (value) => writeText(input, textOf(value)),
        clear: () => (input.value = ""),
    }
}

const plain = (attributes, ...classes) => around(h(["input", ...classes].join("."), attributes))
const area = (rows) => around(h("textarea", { rows, spellcheck: "false" }))

/** The control for a schema. `sample` is the value it starts with; `hasEmpty` lets a choice be none yet. */
export function makeControl(schema, options) {
    const kind = kindOf(schema)
    const control = makers[kind](schema, { widget: {}, ...options })
    const input = control.input ?? control.node
    return { kind, isInline: false, isGroup: false, note: "", ...control, input }
}
