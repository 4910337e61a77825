// Plans a backfill while it is typed, and starts it.
import { $, act, count, empty, h, replace, summarise, wordsOf } from "./dom.js"
import { get, href, post, Problem } from "./api.js"
import { Axis } from "./axis.js"
import { RowFile, faultTable } from "./rowfile.js"
import { backfillTable } from "./backfilllist.js"
import { ParameterForm, summariseErrors } from "./form.js"

const PAUSE = 350
const DECISIONS = {
    rerun: "of them again",
    reuse: "stand for completed ones",
    completed_before: "completed before, left alone",
    failed_before: "failed before, left alone",
    goes_on: "wait or run already",
}

class BackfillForm {
    constructor(target) {
        this.target = target
        this.form = $("#backfill-form")
        this.axes = []
        this.made = 0
        this.rows = new RowFile($("#backfill-rows"), () => this.#takeColumns())
        this.parameters = new ParameterForm($("#backfill-fields"), {
            ...{ schema: target.schema, parameters: target.parameters, prefix: "b" },
            onchange: () => this.#soon(),
        })
        const fields = [...this.parameters.fields.values()].filter((field) => !field.isSecret)
        const first =
            fields.find((field) => ["date", "datetime"].includes(field.control.kind)) ??
            fields.find((field) => field.required) ??
            fields[0]
        if (!first) {
            const why = "This notebook declares no parameters, so that all its runs would be the same."
            replace(this.form, empty("Nothing to backfill.", why))
            return
        }
        this.#addAxis(first.name)
        $("#axis-add").addEventListener("click", () => this.#addNext())
        this.form.addEventListener("input", () => this.#soon())
        this.form.addEventListener("submit", (event) => {
            event.preventDefault()
            act($("#backfill-go"), () => this.start())
        })
    }

    // What the file's columns are for needs no axis and no value of its own.
    #takeColumns() {
        for (const axis of this.axes.filter((one) => this.rows.names.includes(one.name))) this.#removeAxis(axis)
        this.#soon()
    }

    #removeAxis(axis) {
        this.axes = this.axes.filter((one) => one !== axis)
        axis.node.remove()
        this.#soon()
    }

    #free() {
        const used = new Set([...this.axes.map((axis) => axis.name), ...this.rows.names])
        return [...this.parameters.fields.values()].filter((field) => !field.isSecret && !used.has(field.name))
    }

    #addNext() {
        const [next] = this.#free()
        if (next) this.#addAxis(next.name).parameter.focus()
    }

    #addAxis(name) {
        const fields = new Map([...this.parameters.fields].filter(([, field]) => !field.isSecret))
        const axis = new Axis(fields, name, {
            number: ++this.made,
            onchange: () => this.#soon(),
            onremove: () => {
                this.#removeAxis(axis)
                $("#axis-add").focus()
            },
        })
        this.axes.push(axis)
        $("#axes").append(axis.node)
        this.#soon()
        return axis
    }

    #body() {
        const { elements } = this.form
        const { values, faults } = this.parameters.collect()
        const axes = {}
        for (const axis of this.axes) {
            const given = axis.read()
            if (given === undefined) faults[axis.name] = "give at least one value"
            else if (axis.name in axes) faults[axis.name] = "chosen twice"
            else if (this.rows.names.includes(axis.name)) faults[axis.name] = "a column of the file too"
            else axes[axis.name] = given
        }
        const reference = this.target.path ? { path: this.target.path } : { flow: this.target.reference }
        const body = {
            ...reference,
            parameters: values,
            axes,
            reprocess_behavior: elements.reprocess_behavior.value,
            run_backwards: elements.run_backwards.checked,
        }
        if (this.rows.text !== null) body.table = this.rows.text
        for (const name of ["max_active_runs", "max_failures"])
            if (elements[name].value) body[name] = Number(elements[name].value)
        if (elements.name.value.trim()) body.name = elements.name.value.trim()
        const tags = elements.tags.value.split(/[,\s]+/).filter(Boolean)
        if (tags.length) body.tags = tags
        return { body, faults }
    }

    #soon() {
        this.parameters.leaveOut([...this.axes.map((axis) => axis.name), ...this.rows.names])
        $("#axis-add").hidden = !this.#free().length
        clearTimeout(this.timer)
        this.timer = setTimeout(() => this.plan(), PAUSE)
    }

    #showErrors(errors) {
        for (const axis of this.axes) axis.show(errors[axis.name] ?? "")
        return this.parameters.showErrors(errors)
    }

    /** One at a time: for a long table the server needs seconds, and what was typed meanwhile is planned after it. */
    async plan() {
        this.isStale = true
        if (this.isPlanning) return
        this.isPlanning = true
        try {
            while (this.isStale) {
                this.isStale = false
                await this.#planNow()
            }
        } finally {
            this.isPlanning = false
        }
    }

    async #planNow() {
        const { body, faults } = this.#body()
        let plan = null
        let problem = null
        try {
            if (!Object.keys(faults).length) plan = await post("backfills", { ...body, dry_run: true })
        } catch (error) {
            problem = error
        }
        if (this.isStale) return
        this.#showErrors({ ...problem?.errors, ...faults })
        $("#backfill-go").disabled = !plan?.runs
        $("#backfill-go").textContent = plan?.runs ? `Start ${count(plan.runs, "run")}` : "Start"
        if (!plan) {
            const names = Object.keys({ ...problem?.errors, ...faults })
            const where = problem?.rows.length && this.rows.text !== null ? "; what is wrong in the file stands below" : ""
            $("#backfill-count").textContent = names.length ? `Not yet: ${names.join(", ")}${where}.` : problem.message
            replace($("#backfill-plan"), problem?.rows.length && faultTable(problem))
            return
        }
        this.#showPlan(plan)
    }

    #showPlan(plan) {
        const rest = Object.entries(plan.decisions).filter(([decision, number]) => number && DECISIONS[decision])
        const told = [
            `${count(plan.runs, "run")} will be created`,
            ...rest.map(([decision, number]) => `${number.toLocaleString("en")} ${DECISIONS[decision]}`),
        ]
        $("#backfill-count").textContent = `${told.join("; ")}.`
        const rows = [...plan.first, ...plan.last]
        const hidden = plan.total - rows.length
        const line = (row) =>
            h(
                "tr",
                {},
                h("td.number", {}, `${row.row ?? row.number ?? ""}`),
                h("td.code", {}, summarise(row.parameters, 8)),
                h("td.quiet", {}, wordsOf(row.decision ?? "")),
            )
        replace(
            $("#backfill-plan"),
            h(
                "div.scroll",
                { tabindex: "0", role: "region", "aria-label": "Runs that it would make" },
                h(
                    "table.list",
                    {},
                    h(
                        "thead",
                        {},
                        h(
                            "tr",
                            {},
                            ["Row", "Values", "What becomes of it"].map((name) => h("th", { scope: "col" }, name)),
                        ),
                    ),
                    h(
                        "tbody",
                        {},
                        plan.first.map(line),
                        hidden > 0 &&
                            h(
                                "tr",
                                {},
                                h("td"),
                                h("td.quiet", { colspan: 2 }, `… ${hidden.toLocaleString("en")} more`),
                            ),
                        plan.last.map(line),
                    ),
                ),
            ),
        )
    }

    describe() {
        const secrets = [...this.parameters.fields.values()].filter((field) => field.isSecret).map(({ name }) => name)
        return { flow: this.target.reference, body: this.#body().body, file: this.rows.name, secrets }
    }

    async start() {
        const { body, faults } = this.#body()
        try {
            if (Object.keys(faults).length)
                throw new Problem(422, { errors: faults, detail: "Some values can't be used." })
            const made = await post("backfills", body)
            location.assign(href(`backfills/${made.id}`))
        } catch (problem) {
            if (!(problem instanceof Problem)) throw problem
            this.#showErrors(problem.errors)
            summariseErrors($("#backfill-problem"), problem.message, {}, null)
        }
    }
}

let form = null

/** Shows the form, and the backfills that there are of this flow. */
export async function openBackfill(target) {
    form ??= new BackfillForm(target)
    await showBackfills(target)
    return form
}

async function showBackfills(target) {
    const { backfills } = await get("backfills", { flow: target.flow ?? target.path, limit: 10 })
    replace(
        $("#flow-backfills"),
        backfills.length > 0 && [
            h("h2.group", {}, "Backfills of this flow"),
            backfillTable(backfills, { hasFlow: false }),
        ],
    )
}
