// A table of rows for a backfill: the file that was chosen, and what the server finds wrong in it, by row and column.
import { $, count, h, replace, say } from "./dom.js"

const LARGEST = 32 * 1024 * 1024

/** The names in the first line, as the server splits it. */
function readNames(text) {
    const head = text.slice(0, text.search(/\r|\n|$/))
    const mark = /[,;\t]/.exec(head)?.[0] ?? ","
    return head.split(mark).map((name) => name.trim().replace(/^"(.*)"$/, "$1").trim())
}

export class RowFile {
    /** *changed* is called when another file, or none, is chosen. */
    constructor(place, changed) {
        Object.assign(this, { place, changed, text: null, name: "", names: [] })
        this.input = $("#rows-file")
        this.input.addEventListener("change", () => this.#take())
        this.#take() // it may have been chosen while the page was loading
    }

    async #take() {
        const [file] = this.input.files
        if (!file) return
        try {
            if (file.size > LARGEST) throw new Error("it is larger than 32 MiB; split it")
            const bytes = await file.arrayBuffer()
            this.text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
        } catch (error) {
            const isText = !(error instanceof TypeError)
            say(`${file.name}: ${isText ? error.message : "no text in UTF-8; save the table as CSV (UTF-8)"}`, "error")
            return
        } finally {
            this.input.value = "" // so that the same file, put right, can be chosen again
        }
        this.name = file.name
        this.names = readNames(this.text)
        this.#show(file.name)
        this.changed()
    }

    #show(name) {
        const remove = h("button.link", { type: "button", onclick: () => this.#drop() }, "remove")
        const columns = this.names.flatMap((column, index) => [index ? ", " : "", h("code", {}, column)])
        replace(this.place, h("div.axis", { role: "status" }, h("p", {}, h("strong", {}, name), ": ", columns), remove))
    }

    #drop() {
        Object.assign(this, { text: null, name: "", names: [] })
        replace(this.place)
        this.changed()
        this.input.focus()
    }
}

/** The faults of a table; the first line, with the names, is not counted as a row. */
export function faultTable({ message, rows }) {
    const [head] = message.split("\n")
    const told = head.replace(/( \(the first.*\))?:$/, "")
    const line = ({ row, rows: many, parameter, message }) =>
        h(
            "tr",
            {},
            h("td.number", {}, many > 1 ? `${row} and ${(many - 1).toLocaleString("en")} more` : String(row)),
            h("td.code", {}, parameter),
            h("td", {}, message),
        )
    const heads = ["Row", "Column", "What is wrong"].map((name) => h("th", { scope: "col" }, name))
    return h(
        "div.scroll",
        { tabindex: "0", role: "region", "aria-label": "Rows that can't be used" },
        h(
            "table.list",
            {},
            h("caption.pad", {}, `${told}. ${count(rows.length, "fault")} shown; row 1 is the one below the names.`),
            h("thead", {}, h("tr", {}, heads)),
            h("tbody", {}, rows.map(line)),
        ),
    )
}
