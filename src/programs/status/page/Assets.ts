/** The style and the script of the status page: nothing is loaded from elsewhere. Contrasts are AA in both schemes. */

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
--bar:#0969da}
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
--bar:#58a6ff}}
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
h3{font-size:1rem;margin:1rem 0 .3rem}
a{color:var(--bar)}
p{margin:.4rem 0}
.soft,.none{color:var(--soft)}
.verdict{border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem;margin:.8rem 0}
.verdict strong{font-size:1.1rem}
.verdict ul{margin:.3rem 0 0;padding-left:1.2rem}
.ok{background:var(--okbg);color:var(--ok)}
.warn{background:var(--warnbg);color:var(--warn)}
.bad{background:var(--badbg);color:var(--bad)}
.chip{border-radius:1rem;padding:.05rem .6rem;font-size:.85rem;white-space:nowrap}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;background:var(--card)}
summary{cursor:pointer;padding:.5rem .8rem}
summary>*{margin-right:.6rem}
.body{padding:0 .8rem .8rem;border-top:1px solid var(--line)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.4rem 1rem;margin:.7rem 0}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;font-weight:600;padding:.6rem 0 .2rem}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}
.n{text-align:right;white-space:nowrap}
th,td:not(:last-child){white-space:nowrap}
meter{width:100%;height:.9rem}
#tools{display:none}
.js #tools{display:flex;gap:.6rem;flex-wrap:wrap;margin:.6rem 0}
input,button{font:inherit;
padding:.3rem .6rem;
border:1px solid var(--soft);
border-radius:.4rem;
background:var(--bg);
color:var(--fg)}
:focus-visible{outline:2px solid var(--bar);outline-offset:2px}
`

/** Every few seconds the page is read again, and what differs is replaced: scroll position and open details stay. */
export const script = `
(() => {
  const root = document.documentElement
  root.classList.add("js")
  const find = (id) => document.getElementById(id)
  const filter = () => {
    const words = find("filter").value.toLowerCase()
    for (const one of document.querySelectorAll("details[id]")) one.hidden = !one.id.toLowerCase().includes(words)
  }
  const all = (open) => { for (const one of document.querySelectorAll("details[id]")) if (!one.hidden) one.open = open }
  find("filter").addEventListener("input", filter)
  find("open").addEventListener("click", () => all(true))
  find("close").addEventListener("click", () => all(false))
  const refresh = async () => {
    try {
      const response = await fetch(location.href)
      if (!response.ok) throw new Error(response.status)
      const next = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("state")
      const open = new Map([...document.querySelectorAll("details[id]")].map((one) => [one.id, one.open]))
      for (const one of next.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = open.get(one.id)
      const focused = document.activeElement?.closest("details[id]")?.id
      find("state").replaceChildren(...next.childNodes)
      if (focused) find(focused)?.querySelector("summary").focus({ preventScroll: true })
      filter()
      find("live").textContent = ""
    } catch {
      find("live").textContent = "The daemon does not answer: this is its last state."
    }
  }
  setInterval(() => { if (!document.hidden) refresh() }, 5000)
})()
`
