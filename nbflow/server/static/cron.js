// Cron for people: the usual times as choices, anything else as its five fields.
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const two = (number) => String(number).padStart(2, "0")

export const RHYTHMS = [
    ["daily", "every day"],
    ["weekdays", "Monday to Friday"],
    ["weekly", "once a week"],
    ["monthly", "once a month"],
    ["hourly", "every hour"],
    ["every", "at an interval"],
    ["cron", "cron expression"],
]

/** `{ cron }` or `{ every }` of what was chosen. */
export function compose({ rhythm, time, weekday, monthday, minute, every, cron }) {
    const [hour, minutes] = (time || "00:00").split(":").map(Number)
    switch (rhythm) {
        case "daily":
            return { cron: `${minutes} ${hour} * * *` }
        case "weekdays":
            return { cron: `${minutes} ${hour} * * 1-5` }
        case "weekly":
            return { cron: `${minutes} ${hour} * * ${weekday}` }
        case "monthly":
            return { cron: `${minutes} ${hour} ${monthday} * *` }
        case "hourly":
            return { cron: `${Number(minute)} * * * *` }
        case "every":
            return { every }
        default:
            return { cron }
    }
}

/** The choices that stand for a schedule's cron or interval. */
export function decompose({ cron, every }) {
    if (every) return { rhythm: "every", every: interval(every) }
    const found = /^(\d{1,2}) (\d{1,2}|\*) (\d{1,2}|\*) \* (\*|[0-6]|1-5)$/.exec(cron)
    const rest = { rhythm: "cron", cron }
    if (!found) return rest
    const [, minute, hour, monthday, weekday] = found
    if (hour === "*") return monthday === "*" && weekday === "*" ? { rhythm: "hourly", minute, cron } : rest
    const time = `${two(hour)}:${two(minute)}`
    if (monthday !== "*") return weekday === "*" ? { rhythm: "monthly", time, monthday, cron } : rest
    if (weekday === "*") return { rhythm: "daily", time, cron }
    return weekday === "1-5" ? { rhythm: "weekdays", time, cron } : { rhythm: "weekly", time, weekday, cron }
}

export function interval(seconds) {
    const parts = []
    let rest = Number(seconds)
    for (const [size, unit] of [
        [86400, "d"],
        [3600, "h"],
        [60, "min"],
    ]) {
        if (rest >= size) parts.push(`${Math.floor(rest / size)}${unit}`)
        rest %= size
    }
    if (rest || !parts.length) parts.push(`${rest}s`)
    return parts.join(" ")
}

/** When a schedule fires, in words. */
export function describe(schedule) {
    const { rhythm, time, weekday, monthday, minute, every, cron } = decompose(schedule)
    switch (rhythm) {
        case "daily":
            return `every day at ${time}`
        case "weekdays":
            return `Monday to Friday at ${time}`
        case "weekly":
            return `${DAYS[weekday]}s at ${time}`
        case "monthly":
            return `day ${monthday} of the month at ${time}`
        case "hourly":
            return `every hour at :${two(minute)}`
        case "every":
            return `every ${every}`
        default:
            return cron
    }
}

/** A time of a schedule by its own clock: `Mon 2026-03-30 07:00 +02:00`. */
export function wall(iso) {
    const [, date, time, offset] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::(?!00)\d\d)?)[^+Z-]*(.*)$/.exec(iso) ?? [
        null,
        iso,
        "",
        "",
    ]
    const weekday = time ? `${DAYS[new Date(`${date}T00:00:00Z`).getUTCDay()].slice(0, 3)} ` : ""
    return `${weekday}${date} ${time}${offset && offset !== "+00:00" && offset !== "Z" ? ` ${offset}` : offset ? " UTC" : ""}`
}
