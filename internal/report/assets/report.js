"use strict";
// The samples of a report. Nothing here makes a request: the data lies in the
// page, as gzip in base64. All foreign text goes through textContent.
(() => {
  const PER_PAGE = 50;
  const VERDICTS = [["right", "Right"], ["wrong", "Wrong"], ["unscored", "Unscored"], ["failed", "Failed"], ["unjudged", "Not judged"]];
  const $ = (id) => document.getElementById(id);
  const runs = [...document.querySelectorAll("script.run")].map((s) => JSON.parse(s.textContent));
  const title = document.title;
  const num = new Intl.NumberFormat("en-US");

  // el makes an element: attributes by name, "on…" as listeners, text or
  // elements as children.
  function el(tag, attrs, ...kids) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs || {})) {
      if (v === false || v == null) continue;
      if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
      else e.setAttribute(k, v === true ? "" : v);
    }
    e.append(...kids.flat().filter((k) => k != null && k !== false));
    return e;
  }

  // ---- theme
  const theme = $("theme");
  const stored = (() => { try { return localStorage.getItem("sextant-theme"); } catch { return null; } })();
  function setTheme(t) {
    if (t) document.documentElement.dataset.theme = t;
    const dark = t ? t === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    theme.textContent = dark ? "Light" : "Dark";
    theme.setAttribute("aria-label", "Switch to " + theme.textContent.toLowerCase() + " colours");
  }
  setTheme(stored);
  theme.addEventListener("click", () => {
    const t = theme.textContent.toLowerCase();
    setTheme(t);
    try { localStorage.setItem("sextant-theme", t); } catch { /* private window: only for now */ }
  });

  // ---- data: the samples of one run at a time are kept unpacked
  let loaded = { run: null, samples: [], texts: null };
  async function load(run) {
    if (loaded.run === run) return loaded.samples;
    const samples = [];
    for (const id of run.blocks) {
      const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      for (const s of JSON.parse(await new Response(stream).text())) samples.push(s);
    }
    loaded = { run, samples, texts: null };
    return samples;
  }
  // text to search in, made when somebody searches
  function texts() {
    if (!loaded.texts) loaded.texts = loaded.samples.map((s) => plain([s.p, (s.l || []).map((l) => l.t), s.o, s.a, s.g, s.e, s.x]).toLowerCase());
    return loaded.texts;
  }
  function plain(v) {
    if (v == null) return "";
    if (Array.isArray(v)) return v.map(plain).join("\n");
    if (typeof v === "object") return Object.values(v).map(plain).join("\n");
    return String(v);
  }
  const show = (v) => v == null ? "" : typeof v === "string" ? v : typeof v === "object" ? JSON.stringify(v, null, 1) : String(v);
  function promptText(p) {
    return Array.isArray(p) ? p.map((m) => m && typeof m === "object" ? show(m.prompt ?? m.content ?? m) : show(m)).join("\n") : show(p);
  }

  // ---- routing: #samples?d=…&m=…&show=wrong&q=…&page=2&i=17
  function route() {
    const h = location.hash;
    const q = new URLSearchParams(h.startsWith("#samples?") ? h.slice(9) : "");
    return { d: q.get("d"), m: q.get("m"), show: q.get("show") || "all", q: q.get("q") || "", gold: q.get("gold"), pred: q.get("pred"), page: Math.max(0, parseInt(q.get("page"), 10) || 0), i: q.get("i") };
  }
  function address(r) {
    const q = new URLSearchParams();
    for (const k of ["d", "m", "show", "q", "gold", "pred", "page", "i"]) {
      const v = r[k];
      if (v == null || v === "" || (k === "show" && v === "all") || (k === "page" && !v)) continue;
      q.set(k, v);
    }
    return "#samples?" + q;
  }
  // words typed into the search that are not in the address yet
  let typed = null, timer = 0;
  function forgetTyped() { clearTimeout(timer); typed = null; }
  function go(change, replace) {
    const a = address({ ...route(), ...(typed == null ? {} : { q: typed }), ...change });
    forgetTyped();
    if (a === location.hash) return;
    if (replace) { history.replaceState(null, "", a); render(); } else location.hash = a;
  }

  // data-shown of the root element says which address the page shows; it
  // differs from location.hash while something is unpacked or drawn.
  const shown = (hash) => { document.documentElement.dataset.shown = hash; };
  let drawing = 0, drawnRun = null;
  async function render() {
    const turn = ++drawing, hash = location.hash, r = route(), box = $("samples");
    const run = r.d != null && runs.find((x) => x.d === r.d && (r.m == null || x.m === r.m));
    $("overview").hidden = !!run;
    box.hidden = !run;
    $("crumb").textContent = run ? "/ " + run.d : "";
    document.title = (run ? run.d + " · " : "") + title;
    if (drawnRun !== (run || null)) forgetTyped(); // they were meant for other samples
    if (!run) { drawnRun = null; shown(hash); return; }
    if (drawnRun !== run) {
      drawnRun = run;
      window.scrollTo(0, 0);
      box.replaceChildren(el("p", { class: "empty" }, "Unpacking " + num.format(run.n) + " samples…"));
    }
    let samples;
    try {
      if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to unpack the samples (it lacks DecompressionStream)");
      samples = await load(run);
    } catch (err) {
      if (turn !== drawing) return;
      box.replaceChildren(el("p", { class: "notes", role: "alert" }, "The samples cannot be shown: " + err.message));
      shown(hash);
      return;
    }
    if (turn !== drawing) return; // something else was asked for meanwhile
    draw(box, run, samples, r);
    shown(hash);
  }

  function draw(box, run, samples, r) {
    const counts = {};
    for (const s of samples) counts[s.v] = (counts[s.v] || 0) + 1;
    const words = r.q.toLowerCase().split(/\s+/).filter(Boolean);
    const hay = words.length ? texts() : null;
    const hits = [];
    samples.forEach((s, n) => {
      if (r.show !== "all" && s.v !== r.show) return;
      if (r.gold != null && show(s.g) !== r.gold) return;
      if (r.pred != null && show(answer(s)) !== r.pred) return;
      if (hay && !words.every((w) => hay[n].includes(w))) return;
      hits.push(s);
    });
    const pages = Math.max(1, Math.ceil(hits.length / PER_PAGE));
    let at = r.i == null ? -1 : hits.findIndex((s) => String(s.i) === r.i);
    const page = at >= 0 ? Math.floor(at / PER_PAGE) : Math.min(r.page, pages - 1);
    if (at < 0 && hits.length) at = page * PER_PAGE;
    const current = hits[at];
    const search = box.querySelector("input[type=search]");
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const typing = search && document.activeElement === search ? [search.value, search.selectionStart] : null;

    box.replaceChildren(...[
      head(run, samples, counts),
      tabs(run, r),
      split(counts, samples.length),
      left(run),
      matrix(samples, r),
      tools(r, counts, samples.length),
      el("div", { class: "browse" },
        el("div", {},
          hits.length ? el("ol", { class: "list", "aria-label": "Samples" }, hits.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map((s) => item(s, s === current, r)))
            : el("div", { class: "list" }, el("p", { class: "empty" }, "No sample matches.")),
          pager(hits.length, page, pages),
          el("p", { class: "keys" }, el("kbd", {}, "j"), " ", el("kbd", {}, "k"), " next, previous · ", el("kbd", {}, "/"), " search · ", el("kbd", {}, "Esc"), " back")),
        current ? detail(current) : el("div", {}))].filter(Boolean));
    if (typing) {
      const s = box.querySelector("input[type=search]");
      s.value = typing[0];
      s.focus();
      s.setSelectionRange(typing[1], typing[1]);
    }
    const again = focused && [...box.querySelectorAll("[data-key]")].find((e) => e.dataset.key === focused);
    if (again) again.focus({ preventScroll: true });
    state = { hits, at };
  }
  let state = { hits: [], at: -1 };

  function head(run, samples, counts) {
    const cell = [...document.querySelectorAll("table.scores a.cell")].find((a) => {
      const q = new URLSearchParams(a.getAttribute("href").slice(9));
      return q.get("d") === run.d && q.get("m") === run.m;
    });
    const val = cell && cell.querySelector(".val");
    const metric = cell && cell.closest("tr").querySelector(".metric").firstChild.textContent.trim();
    return el("div", { class: "dhead" }, el("h1", {}, run.d),
      val ? el("div", { class: "score", title: cell.title }, el("b", {}, val.querySelector("b").textContent), " ", val.querySelector(".pm") ? val.querySelector(".pm").textContent : "", " " + metric) : null);
  }

  function tabs(run, r) {
    const same = runs.filter((x) => x.d === run.d);
    return el("nav", { class: "tabs", "aria-label": "Models" }, same.map((x) =>
      el("a", { href: address({ d: x.d, m: x.m, show: r.show, q: r.q, i: r.i }), "aria-current": x === run ? "true" : null }, x.m)));
  }

  function split(counts, total) {
    const bar = el("div", { class: "split", role: "img", "aria-label": VERDICTS.filter(([v]) => counts[v]).map(([v, t]) => t + " " + counts[v]).join(", ") });
    for (const [v, t] of VERDICTS) {
      if (!counts[v]) continue;
      const s = el("span", { class: "bg-" + v, title: t + ": " + num.format(counts[v]) });
      s.style.width = (100 * counts[v] / total) + "%";
      bar.append(s);
    }
    return bar;
  }

  function left(run) {
    const says = [];
    if (run.error) says.push("Reading the samples stopped: " + run.error);
    if (run.total > run.n) says.push("This page holds the first " + num.format(run.n) + " of " + num.format(run.total) + " samples, to stay small." + (run.file ? " All of them are in " + run.file + "." : ""));
    return says.length ? el("div", { class: "notes", role: "note" }, says.map((t) => el("div", {}, t))) : null;
  }

  const answer = (s) => s.a !== undefined ? s.a : s.k === "clp" && s.x && s.x.pred_label != null ? s.x.pred_label : s.o;

  // matrix counts gold against answer, where there are few of both
  function matrix(samples, r) {
    const gold = new Map(), pred = new Map(), cells = new Map();
    for (const s of samples) {
      if (s.g == null || s.v === "failed") continue;
      const g = show(s.g), p = show(answer(s));
      if (g.length > 24 || p.length > 24) return null;
      gold.set(g, (gold.get(g) || 0) + 1);
      pred.set(p, (pred.get(p) || 0) + 1);
      cells.set(g + "\0" + p, (cells.get(g + "\0" + p) || 0) + 1);
      if (gold.size > 8 || pred.size > 8) return null;
    }
    if (gold.size < 2) return null;
    const order = (m) => [...m.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const gs = order(gold), ps = order(pred), most = Math.max(...cells.values());
    return el("details", { class: "card slim", open: r.gold != null || r.pred != null }, el("summary", {}, "Answers against the key"),
      el("div", { class: "beside" }, el("table", { class: "matrix", "aria-label": "Rows: the key. Columns: the answer." },
        el("thead", {}, el("tr", {}, el("th", {}), ps.map((p) => el("th", { scope: "col" }, p || "(empty)")), el("th", { scope: "col" }, "all"))),
        el("tbody", {}, gs.map((g) => el("tr", {}, el("th", { scope: "row" }, g || "(empty)"), ps.map((p) => {
          const n = cells.get(g + "\0" + p) || 0, shade = el("i", {});
          shade.style.opacity = (0.42 * n / most).toFixed(3);
          return el("td", { class: g === p ? "hit" : "" }, shade, n ? el("a", { href: address({ ...r, gold: g, pred: p, show: "all", page: 0, i: null }) }, el("span", {}, num.format(n))) : el("span", {}, "0"));
        }), el("th", {}, num.format(gold.get(g)))))),
        el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "all"), ps.map((p) => el("th", {}, num.format(pred.get(p)))), el("th", {})))),
        el("p", {}, "Rows: the key. Columns: what the model answered. Follow a number to see those samples.")));
  }

  function tools(r, counts, total) {
    const choose = (v, t, n) => el("button", { type: "button", "aria-pressed": String(r.show === v), "data-show": v, "data-key": "show-" + v, onclick: () => go({ show: v, page: 0, i: null }) },
      v === "all" ? null : el("span", { class: "dot bg-" + v }), t, el("span", { class: "n" }, num.format(n)));
    const input = el("input", { type: "search", placeholder: "Search prompts and answers", "aria-label": "Search prompts and answers", value: r.q });
    input.addEventListener("input", () => {
      clearTimeout(timer);
      typed = input.value;
      timer = setTimeout(() => go({ page: 0, i: null }, true), 140);
    });
    return el("div", { class: "tools", role: "toolbar", "aria-label": "Filter" }, choose("all", "All", total),
      VERDICTS.filter(([v]) => counts[v]).map(([v, t]) => choose(v, t, counts[v])),
      r.gold != null || r.pred != null ? el("button", { type: "button", "aria-pressed": "true", onclick: () => go({ gold: null, pred: null, page: 0, i: null }) }, "key " + r.gold + ", answered " + r.pred + " ✕") : null,
      input);
  }

  function item(s, on, r) {
    const text = plainLine(s);
    return el("li", {}, el("a", { href: address({ ...r, i: s.i, page: 0 }), "aria-current": on ? "true" : null, "data-key": "i-" + s.i, onclick: (e) => { e.preventDefault(); go({ i: s.i, page: 0 }, true); } },
      el("span", { class: "dot bg-" + s.v, role: "img", "aria-label": s.v }), el("span", { class: "ix" }, s.i), el("span", { class: "tx" }, text)));
  }
  function plainLine(s) {
    const asked = Array.isArray(s.p) && [...s.p].reverse().find((m) => m && /^(human|user)$/i.test(m.role || ""));
    const t = promptText(asked ? [asked] : s.p) || (s.l && show(s.l[0].t)) || "";
    return t.slice(-2000).replace(/\s+/g, " ").trim().slice(0, 220) || "(empty prompt)";
  }

  function pager(n, page, pages) {
    return el("div", { class: "pager" },
      el("button", { type: "button", "data-key": "prev", disabled: page <= 0, onclick: () => go({ page: page - 1, i: null }, true) }, "← Previous"),
      el("span", {}, n ? num.format(page * PER_PAGE + 1) + "–" + num.format(Math.min(n, (page + 1) * PER_PAGE)) + " of " + num.format(n) : "0"),
      el("button", { type: "button", "data-key": "next", disabled: page >= pages - 1, onclick: () => go({ page: page + 1, i: null }, true) }, "Next →"));
  }

  // ---- one sample
  function detail(s) {
    const name = VERDICTS.find(([v]) => v === s.v);
    return el("article", { class: "card detail", "aria-label": "Sample " + s.i },
      el("div", { class: "bar" }, el("span", { class: "badge b-" + s.v }, name ? name[1] : s.v), el("strong", {}, "Sample " + s.i), s.e ? el("span", {}, s.e) : null),
      s.l && s.l.length ? labelled(s) : asked(s),
      more(s));
  }

  // common beginning and end of the texts, cut at a word
  function common(list) {
    if (list.length < 2) return [0, 0];
    let a = 0, b = 0;
    const first = list[0], least = Math.min(...list.map((t) => t.length));
    while (a < least && list.every((t) => t[a] === first[a])) a++;
    while (b < least - a && list.every((t) => t[t.length - 1 - b] === first[first.length - 1 - b])) b++;
    const word = /[\p{L}\p{N}'’]/u;
    while (a > 0 && word.test(first[a - 1])) a--;
    while (b > 0 && word.test(first[first.length - b])) b--;
    return [a, b];
  }

  function labelled(s) {
    const list = s.l.map((l) => promptText(l.t)), [a, b] = common(list);
    const end = (t) => t.length - b, ppl = s.k === "ppl", gold = show(s.g), pick = show(s.o);
    const scored = s.l.map((l) => typeof l.s === "number" ? l.s : null), known = scored.filter((v) => v != null);
    const best = ppl ? Math.min(...known) : Math.max(...known), range = Math.max(...known) - Math.min(...known);
    return [
      el("section", {}, el("h2", {}, "Prompt"), s.c && a === 0 ? el("pre", {}, show(s.c)) : null,
        el("pre", {}, list[0].slice(0, a), el("span", { class: "slot", title: "where the options differ" }, list.length > 1 ? "…" : list[0].slice(a, end(list[0]))), b ? list[0].slice(end(list[0])) : "")),
      el("section", {}, el("h2", {}, ppl ? "Perplexity of each option: the lowest is chosen" : "Log-likelihood of each option: the highest is chosen"),
        el("div", { class: "labels" }, s.l.map((l, n) => {
          // the bar says how near to the best option: that one is full, the farthest a fifth
          const fill = el("i", {}), v = scored[n];
          fill.style.width = (v == null ? 0 : range ? 100 - 80 * Math.abs(v - best) / range : 100).toFixed(1) + "%";
          return el("div", { class: "label" + (l.n === pick ? " chosen" : "") },
            el("div", { class: "row" }, el("span", { class: "name" }, l.n), el("span", { class: "text" }, list.length > 1 ? list[n].slice(a, end(list[n])) || "(nothing)" : ""),
              l.n === gold ? el("span", { class: "mark gold" }, "key") : null, l.n === pick ? el("span", { class: "mark pick" }, "chosen") : null,
              el("span", { class: "v" }, v == null ? show(l.s) : v.toFixed(4), v == null || v === best ? null : el("small", { title: "distance to the best option" }, (v > best ? " +" : " −") + Math.abs(v - best).toFixed(4)),
                typeof l.b === "number" ? el("small", {}, " · " + l.b.toFixed(3) + " bits/byte") : null)),
            el("div", { class: "meter" }, fill));
        })),
        gold !== "" && !s.l.some((l) => l.n === gold) ? el("p", {}, "The key is ", el("code", {}, gold), ", which is none of the options.") : null)];
  }

  function asked(s) {
    const out = [];
    if (s.c) out.push(el("section", {}, el("h2", {}, "Examples in the prompt"), el("pre", {}, show(s.c))));
    out.push(el("section", {}, el("h2", {}, "Prompt"), Array.isArray(s.p) ? s.p.map((m) => el("div", { class: "msg" },
      el("span", { class: "role" }, m && typeof m === "object" ? show(m.role) : ""), el("pre", {}, m && typeof m === "object" ? show(m.prompt ?? m.content ?? m) : show(m)))) : el("pre", {}, show(s.p))));
    out.push(el("section", {}, el("h2", {}, "Answer"), el("pre", {}, s.o === "" ? "(empty)" : show(s.o))));
    const pair = [];
    if (s.a !== undefined) pair.push(el("section", {}, el("h2", {}, "Read from it"), el("pre", {}, s.a === "" ? "(nothing)" : show(s.a))));
    if (s.g != null) pair.push(el("section", {}, el("h2", {}, "Key"), el("pre", {}, show(s.g))));
    if (pair.length) out.push(el("div", { class: "pair" }, pair));
    return out;
  }

  function more(s) {
    if (!s.x) return null;
    return el("details", {}, el("summary", {}, "Everything else in the record"), el("pre", {}, JSON.stringify(s.x, null, 2)));
  }

  // ---- keys
  document.addEventListener("keydown", (e) => {
    if ($("samples").hidden || e.ctrlKey || e.metaKey || e.altKey) return;
    const field = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (e.key === "Escape") { if (field) document.activeElement.blur(); else location.hash = "#"; return; }
    if (field) return;
    if (e.key === "/") { e.preventDefault(); document.querySelector("#samples input[type=search]").focus(); return; }
    const step = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    e.preventDefault();
    const next = state.hits[Math.min(state.hits.length - 1, Math.max(0, state.at + step))];
    if (next) { go({ i: next.i, page: 0 }, true); const on = document.querySelector(".list a[aria-current=true]"); if (on) on.scrollIntoView({ block: "nearest" }); }
  });

  addEventListener("hashchange", render);
  render();
})();
