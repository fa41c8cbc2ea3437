package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// browser opens a page in Chromium and hands back what it requested and
// complained about.
type browser struct {
	ctx      context.Context
	mu       sync.Mutex // guards what follows
	requests []string
	console  []string
}

func openPage(t *testing.T, r Report) *browser {
	t.Helper()
	var path string
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(n); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on PATH (Debian package chromium)")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(stop)
	actx, stop1 := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop1)
	bctx, stop2 := chromedp.NewContext(actx)
	t.Cleanup(stop2)
	br := &browser{ctx: bctx}
	if err := chromedp.Do(bctx, chromedp.EmulateViewport(1360, 900)); err != nil {
		t.Fatal(err)
	}
	events, messages := chromedp.Events(bctx, network.RequestWillBeSent), chromedp.Console(bctx)
	go func() {
		for e, err := range events {
			if err != nil {
				return
			}
			br.mu.Lock()
			br.requests = append(br.requests, e.Request.URL)
			br.mu.Unlock()
		}
	}()
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			br.mu.Lock()
			br.console = append(br.console, m.Text)
			br.mu.Unlock()
		}
	}()
	br.do(t, chromedp.Navigate("file://"+file))
	br.wait(t, `window.innerWidth === 1360`)
	return br
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func eval[T any](t *testing.T, b *browser, js string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	return v
}

// patience is how long a test waits for something that surely comes.
const patience = 2 * time.Minute

// wait polls until a condition holds in the page and the page is at rest: it
// shows what its address says, so nothing is about to be drawn anew.
func (b *browser) wait(t *testing.T, cond string) {
	t.Helper()
	cond = "document.documentElement.dataset.shown === location.hash && !!(" + cond + ")"
	if _, err := poll[bool](b, "() => "+cond); err != nil {
		t.Fatalf("waiting for %s: %v; the page says %q, the console %q", cond, err, eval[string](t, b, "document.body.innerText.slice(0, 600)"), b.said())
	}
}

// poll calls a function of the page until what it returns is true.
func poll[T any](b *browser, function string, args ...any) (T, error) {
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	return chromedp.Run(ctx, chromedp.PollFunction[T](function, chromedp.WithPollingTimeout(0), chromedp.WithPollingArgs(args...)))
}

// aim is called for every frame until the page is at rest and the first element
// of a selector is enabled, visible and where it was a frame before, so that a
// press on its middle hits it or something within. It then says where that is,
// and has the page note what the next click hits.
const aim = `(sel) => {
	const html = document.documentElement, e = document.querySelector(sel), last = window.aimed;
	const box = e && e.getClientRects()[0], now = window.aimed = box && {e, x: box.x + box.width / 2, y: box.y + box.height / 2};
	if (!now || html.dataset.shown !== location.hash || e.disabled || getComputedStyle(e).visibility !== "visible") return null;
	const hit = document.elementFromPoint(now.x, now.y);
	if (!hit || !e.contains(hit)) {
		e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
		return null;
	}
	if (!last || last.e !== e || last.x !== now.x || last.y !== now.y) return null;
	window.aimed = null;
	window.clicked = "";
	document.addEventListener("click", (c) => {
		window.clicked = !c.isTrusted ? "a program" : e.contains(c.target) ? "hit" : c.target.outerHTML.slice(0, 200);
	}, {capture: true, once: true});
	return {x: now.x, y: now.y};
}`

// click presses and releases the mouse on the first element of a CSS selector,
// once, and fails if that was not a click on this element.
func (b *browser) click(t *testing.T, sel string) {
	t.Helper()
	at, err := poll[struct{ X, Y float64 }](b, aim, sel)
	if err != nil {
		t.Fatalf("waiting for %s: %v; the page says %q, the console %q", sel, err, eval[string](t, b, "document.body.innerText.slice(0, 600)"), b.said())
	}
	b.do(t, chromedp.MouseClickXY(at.X, at.Y))
	hit, err := poll[string](b, "() => window.clicked")
	if err != nil {
		t.Fatalf("no click came of a press on %s: %v", sel, err)
	}
	if hit != "hit" {
		t.Fatalf("the click on %s hit %s", sel, hit)
	}
}

// search types words into the search field and waits until they are in the
// address and the page shows what that says.
func (b *browser) search(t *testing.T, words string) {
	t.Helper()
	b.click(t, "input[type=search]")
	b.wait(t, `document.activeElement.type === "search"`)
	b.do(t, chromedp.KeyEvent(words))
	b.wait(t, fmt.Sprintf(`new URLSearchParams(location.hash.split("?")[1]).get("q") === %q`, words))
}

// shot keeps a picture where SEXTANT_REPORT_DIR says.
func (b *browser) shot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("SEXTANT_REPORT_DIR")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// said returns the console so far.
func (b *browser) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.console)
}

// quiet fails if the page asked for anything or complained. It then leaves the
// page: a message and a request of the test's own come last, and when they have
// been told, nothing before them is still on its way.
func (b *browser) quiet(t *testing.T) {
	t.Helper()
	last := filepath.Join(t.TempDir(), "last.html")
	if err := os.WriteFile(last, []byte("<!DOCTYPE html><title>last</title>"), 0o644); err != nil {
		t.Fatal(err)
	}
	last = "file://" + last
	b.do(t, chromedp.Evaluate[chromedp.Void](`console.log("`+last+`")`), chromedp.Navigate(last))
	told := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Contains(b.requests, last) && slices.Contains(b.console, last)
	}
	for start := time.Now(); !told(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > patience {
			b.mu.Lock()
			defer b.mu.Unlock()
			t.Fatalf("the last request or message was not told: %q, %q", b.requests, b.console)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var pages []string
	for _, u := range b.requests {
		switch {
		case strings.HasPrefix(u, "file:///"):
			pages = append(pages, u)
		case !strings.HasPrefix(u, "data:"):
			t.Errorf("the page asked for %s", u)
		}
	}
	if len(pages) != 2 || pages[1] != last {
		t.Errorf("%d files read, want the page alone and the last: %q", len(pages), b.requests)
	}
	if len(b.console) != 1 {
		t.Errorf("the console says %q, want the last message alone", b.console)
	}
}

const listed = `document.querySelector("#samples .pager span").textContent`

func TestBrowser(t *testing.T) {
	b := openPage(t, seedReport(t))
	b.wait(t, `document.querySelectorAll("table.scores .val").length >= 4`)
	b.shot(t, "1_overview_light")
	b.click(t, "#theme")
	b.shot(t, "2_overview_dark")
	b.click(t, "#theme")

	// from a score to its samples
	b.click(t, "table.scores a.cell")
	b.wait(t, `document.querySelector("#samples .list")`)
	if got := eval[string](t, b, listed); got != "1–50 of 1,954" {
		t.Errorf("all samples: %q", got)
	}
	b.shot(t, "3_samples")
	// the labels of sample 0: option 1 chosen, option 3 right
	if got := eval[string](t, b, `[...document.querySelectorAll(".label")].map((l) => l.querySelector(".name").textContent + ":" + l.querySelector(".text").textContent + ":" + [...l.querySelectorAll(".mark")].map((m) => m.textContent)).join("|")`); got != "1:make a new plan:chosen|2:Go home and see Riley:|3:Find somewhere to go:key" {
		t.Errorf("labels of the first sample: %q", got)
	}

	// filter, next page, next sample by key
	b.click(t, `button[data-show="wrong"]`)
	b.wait(t, listed+`.endsWith("of 1,205")`)
	if got := eval[int](t, b, `document.querySelectorAll('.list .dot:not(.bg-wrong)').length`); got != 0 {
		t.Errorf("%d samples in the list of wrong ones are not", got)
	}
	b.click(t, `.pager button:last-child`)
	b.wait(t, listed+` === "51–100 of 1,205"`)
	before := eval[string](t, b, `document.querySelector(".detail strong").textContent`)
	b.do(t, chromedp.KeyEvent("j"))
	b.wait(t, `document.querySelector(".detail strong").textContent !== "`+before+`"`)

	// search; the words come from one question
	b.click(t, `button[data-show="all"]`)
	b.wait(t, listed+`.endsWith("of 1,954")`)
	b.search(t, "Riley's attacks")
	b.wait(t, listed+`.endsWith("of 3") || `+listed+`.endsWith("of 1") || `+listed+`.endsWith("of 2")`)
	b.wait(t, `document.activeElement.type === "search" && document.activeElement.value === "Riley's attacks"`)
	b.shot(t, "4_search")

	// a filter pressed right after typing takes the words along; another dataset
	// opened right after it does not
	const typed = `{ const f = document.querySelector("input[type=search]"); f.value = "Riley"; f.dispatchEvent(new Event("input")); `
	b.do(t, chromedp.Evaluate[chromedp.Void](typed+`document.querySelector('button[data-show="wrong"]').click(); }`))
	b.wait(t, `/[?&]show=wrong&q=Riley$/.test(location.hash)`)
	b.do(t, chromedp.Evaluate[chromedp.Void](typed+`setTimeout(() => { window.later = true; }, 200); location.hash = "#samples?d=winogrande&m=opt-demo"; }`))
	b.wait(t, `window.later`)
	if got := eval[string](t, b, `location.hash`); got != "#samples?d=winogrande&m=opt-demo" {
		t.Errorf("words for other samples came along: %s", got)
	}

	// the address alone leads to a sample, and the matrix to its samples
	b.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "#samples?d=winogrande&m=opt-demo&show=right&i=1"`))
	b.wait(t, `document.querySelector(".detail strong") && document.querySelector(".detail strong").textContent === "Sample 1"`)
	b.click(t, "summary")
	b.wait(t, `document.querySelector("summary").parentElement.open`)
	b.click(t, ".matrix td:not(.hit) a")
	b.wait(t, `document.querySelector(".tools button[aria-pressed=true]:last-of-type")`)
	b.shot(t, "5_matrix")

	// a chat model with mishaps, part of whose samples are left out
	b.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "#samples?d=siqa&m=chat-demo&show=unscored"`))
	b.wait(t, `document.querySelector(".notes div") && document.querySelector(".msg .role")`)
	if got := eval[string](t, b, `document.querySelector("#samples .notes").textContent`); !strings.Contains(got, "first 600 of 1,200 samples") || !strings.Contains(got, "predictions/chat-demo/siqa.json") {
		t.Errorf("note on samples left out: %q", got)
	}
	b.shot(t, "6_chat")
	b.click(t, "#theme")
	b.shot(t, "7_chat_dark")
	b.click(t, "#theme")
	b.do(t, chromedp.EmulateViewport(420, 900))
	b.wait(t, `window.innerWidth === 420`)
	b.shot(t, "8_narrow_samples")
	b.do(t, chromedp.KeyEvent("\x1b"))
	b.wait(t, `!document.getElementById("overview").hidden`)
	b.shot(t, "9_narrow_overview")
	if w := eval[int](t, b, `document.documentElement.scrollWidth`); w > 420 {
		t.Errorf("the page is %d wide on a screen of 420", w)
	}
	b.quiet(t)
}

func TestBrowserHostile(t *testing.T) {
	b := openPage(t, evilReport())
	b.click(t, "table.scores a.cell")
	b.wait(t, `document.querySelector("#samples pre")`)
	if eval[bool](t, b, `!!window.hacked`) {
		t.Error("foreign text was run")
	}
	if got := eval[int](t, b, `document.querySelectorAll("img").length`); got != 0 {
		t.Error("foreign text became an element")
	}
	if got := eval[string](t, b, `document.querySelector(".detail pre").textContent`); !strings.HasPrefix(got, "</script><script>") {
		t.Errorf("the prompt is shown as %q", got)
	}
	b.quiet(t)
}

// TestBrowserLarge: 20,000 samples stay usable.
func TestBrowserLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("large page")
	}
	r := seedReport(t)
	var all []Sample
	for s := range r.Runs[0].Samples {
		all = append(all, s)
	}
	r.Runs[0].Total = 20000
	r.Runs[0].Samples = each(20000, func(i int) Sample {
		s := all[i%len(all)]
		s.Index = i
		return s
	})
	b := openPage(t, r)
	start := time.Now()
	b.click(t, "table.scores a.cell")
	b.wait(t, `document.querySelector("#samples .list")`)
	opened := time.Since(start)
	start = time.Now()
	b.search(t, "barbecue")
	b.wait(t, `!`+listed+`.endsWith("of 20,000")`)
	t.Logf("opened in %v, searched in %v", opened.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	b.quiet(t)
}
