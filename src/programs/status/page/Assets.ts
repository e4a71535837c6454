/**
 * The style and script of the status page, which loads nothing else. Contrasts have level AA in both colour schemes.
 */

export const style = `
:root{color-scheme:light dark;
--bg:#fff;
--fg:#1b1f24;
--soft:#57606a;
--line:#d0d7de;
--card:#f6f8fa;
--ok:#116329;
--okbg:#dafbe1;
--warn:#7d4e00;
--warnbg:#fff8c5;
--bad:#a40e26;
--badbg:#ffebe9;
--link:#0550ae}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;
--fg:#e6edf3;
--soft:#9da7b3;
--line:#30363d;
--card:#161b22;
--ok:#7ee787;
--okbg:#12261e;
--warn:#f2cc60;
--warnbg:#2b2111;
--bad:#ffa198;
--badbg:#2d1215;
--link:#79c0ff}}
*{box-sizing:border-box}
body{margin:0 auto;
max-width:75rem;
padding:1rem;
background:var(--bg);
color:var(--fg);
font:16px/1.45 system-ui,sans-serif;
overflow-wrap:anywhere}
h1{font-size:1.4rem;margin:.2rem 0}
h2{font-size:1.1rem;margin:0;display:inline}
h2.block{display:block;margin:1.2rem 0 .2rem}
a{color:var(--link)}
p{margin:.4rem 0}
.soft,.none{color:var(--soft)}
.verdict{border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;margin:.8rem 0}
.verdict strong{font-size:1.1rem}
.verdict a{color:inherit;font-weight:600}
ul{margin:.3rem 0 0;padding-left:1.2rem}
.ok{background:var(--okbg);color:var(--ok)}
.warn{background:var(--warnbg);color:var(--warn)}
.bad{background:var(--badbg);color:var(--bad)}
.chip{border-radius:1rem;padding:.05rem .6rem;font-size:.85rem;white-space:nowrap}
.notes{list-style:none;padding:0}
.note{border-radius:.3rem;padding:.2rem .5rem;margin:.3rem 0}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;background:var(--card)}
summary{cursor:pointer;padding:.5rem .8rem}
summary>*{margin-right:.6rem}
summary .soft{white-space:nowrap}
.body{padding:.3rem .8rem .8rem;border-top:1px solid var(--line)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.5rem 1.2rem;margin:.7rem 0}
.wide{grid-column:1/-1}
.map{grid-column:span 2}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
thead th:last-child{width:99%}
caption{text-align:left;font-weight:600;padding:.6rem 0 .2rem}
th,td{text-align:left;
padding:.3rem 1.6rem .3rem 0;
border-bottom:1px solid var(--line);
vertical-align:top;
white-space:nowrap}
thead th{color:var(--soft);font-weight:600}
.n{text-align:right}
.text{white-space:normal}
td.bad{padding-left:.5rem}
meter{width:100%;height:.9rem}
#tools{display:none}
.js #tools:not([hidden]){display:flex;gap:.6rem;flex-wrap:wrap;align-items:center;margin:.6rem 0}
input,button{font:inherit;
padding:.3rem .6rem;
border:1px solid var(--soft);
border-radius:.4rem;
background:var(--bg);
color:var(--fg)}
#live:empty{display:none}
#live{border-radius:.5rem;padding:.6rem .8rem;background:var(--warnbg);color:var(--warn)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
@media(max-width:40rem){body{padding:.6rem}
dl{grid-template-columns:1fr 1fr}
.stack,.stack tbody,.stack tr,.stack th,.stack td,.stack caption{display:block;white-space:normal}
.stack thead{position:absolute;clip-path:inset(50%)}
.stack tr{padding:.4rem 0;border-bottom:1px solid var(--line)}
.stack th,.stack td{border:0;padding:.1rem 0;text-align:left}
.stack td.bad{padding:.2rem .5rem}
.stack td::before{content:attr(data-label) ": ";color:var(--soft)}
.stack td.bad::before{color:inherit}
th,td{padding-right:.8rem}}
`

/** Reads the page again every few seconds and replaces what differs, so that scroll position and open details stay. */
export const script = `
(() => {
  const root = document.documentElement
  root.classList.add("js")
  const find = (id) => document.getElementById(id)
  const filter = () => {
    const words = find("filter").value.toLowerCase()
    for (const one of document.querySelectorAll("details[id]"))
      one.hidden = !one.querySelector("summary").textContent.toLowerCase().includes(words)
  }
  const all = (open) => { for (const one of document.querySelectorAll("details[id]")) if (!one.hidden) one.open = open }
  find("filter").addEventListener("input", filter)
  find("open").addEventListener("click", () => all(true))
  find("close").addEventListener("click", () => all(false))
  const sideways = (within) => [...within.querySelectorAll(".scroll")]
  const nameOf = (scroll) => scroll.querySelector("caption").textContent
  const refresh = async () => {
    try {
      const response = await fetch(location.href)
      if (!response.ok) throw new Error(response.status)
      const next = new DOMParser().parseFromString(await response.text(), "text/html")
      const state = next.getElementById("state")
      const open = new Map([...document.querySelectorAll("details[id]")].map((one) => [one.id, one.open]))
      for (const one of state.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = open.get(one.id)
      const focused = document.activeElement?.closest("details[id]")?.id
      const { scrollX, scrollY } = window
      const lefts = new Map(sideways(find("state")).map((scroll) => [nameOf(scroll), scroll.scrollLeft]))
      find("top").replaceChildren(...next.getElementById("top").childNodes)
      find("state").replaceChildren(...state.childNodes)
      filter()
      for (const scroll of sideways(find("state"))) scroll.scrollLeft = lefts.get(nameOf(scroll)) ?? 0
      window.scrollTo(scrollX, scrollY)
      if (focused) find(focused)?.querySelector("summary").focus({ preventScroll: true })
      find("live").textContent = ""
    } catch {
      find("live").textContent = "The daemon does not answer: this is its last state."
    }
  }
  setInterval(() => { if (!document.hidden) refresh() }, 5000)
})()
`
