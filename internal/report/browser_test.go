package report

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
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
	ctx, stop := context.WithTimeout(context.Background(), 90*time.Second)
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

// wait polls until a condition holds in the page.
func (b *browser) wait(t *testing.T, cond string) {
	t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 10*time.Second)
	defer stop()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+cond+")")); err != nil {
		t.Fatalf("waiting for %s: %v; the page says %q, the console %q", cond, err, eval[string](t, b, "document.body.innerText.slice(0, 600)"), b.console)
	}
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

// quiet fails if the page asked for anything or complained.
func (b *browser) quiet(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.requests {
		if !strings.HasPrefix(u, "file:///") && !strings.HasPrefix(u, "data:") {
			t.Errorf("the page asked for %s", u)
		}
	}
	pages := 0
	for _, u := range b.requests {
		if strings.HasPrefix(u, "file:///") {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("%d files read, want the page alone: %q", pages, b.requests)
	}
	if len(b.console) > 0 {
		t.Errorf("the console says %q", b.console)
	}
}

// click takes a CSS selector. A plain string would search the texts too, the
// page's own program among them.
func click(sel string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(sel)) }

const listed = `document.querySelector("#samples .pager span").textContent`

func TestBrowser(t *testing.T) {
	b := openPage(t, seedReport(t))
	b.wait(t, `document.querySelectorAll("table.scores .val").length >= 4`)
	b.shot(t, "1_overview_light")
	b.do(t, click("#theme"))
	b.shot(t, "2_overview_dark")
	b.do(t, click("#theme"))

	// from a score to its samples
	b.do(t, click("table.scores a.cell"))
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
	b.do(t, click(`button[data-show="wrong"]`))
	b.wait(t, listed+`.endsWith("of 1,205")`)
	if got := eval[int](t, b, `document.querySelectorAll('.list .dot:not(.bg-wrong)').length`); got != 0 {
		t.Errorf("%d samples in the list of wrong ones are not", got)
	}
	b.do(t, click(`.pager button:last-child`))
	b.wait(t, listed+` === "51–100 of 1,205"`)
	before := eval[string](t, b, `document.querySelector(".detail strong").textContent`)
	b.do(t, chromedp.KeyEvent("j"))
	b.wait(t, `document.querySelector(".detail strong").textContent !== "`+before+`"`)

	// search; the words come from one question
	b.do(t, click(`button[data-show="all"]`), chromedp.SendKeys(chromedp.CSS(`input[type=search]`), "Riley's attacks"))
	b.wait(t, listed+`.endsWith("of 3") || `+listed+`.endsWith("of 1") || `+listed+`.endsWith("of 2")`)
	b.wait(t, `document.activeElement.type === "search" && document.activeElement.value === "Riley's attacks"`)
	b.shot(t, "4_search")

	// the address alone leads to a sample, and the matrix to its samples
	b.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "#samples?d=winogrande&m=opt-demo&show=right&i=1"`))
	b.wait(t, `document.querySelector(".detail strong") && document.querySelector(".detail strong").textContent === "Sample 1"`)
	b.do(t, click("summary"), click(".matrix td:not(.hit) a"))
	b.wait(t, `document.querySelector(".tools button[aria-pressed=true]:last-of-type")`)
	b.shot(t, "5_matrix")

	// a chat model with mishaps, part of whose samples are left out
	b.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "#samples?d=siqa&m=chat-demo&show=unscored"`))
	b.wait(t, `document.querySelector(".notes div") && document.querySelector(".msg .role")`)
	if got := eval[string](t, b, `document.querySelector("#samples .notes").textContent`); !strings.Contains(got, "first 600 of 1,200 samples") || !strings.Contains(got, "predictions/chat-demo/siqa.json") {
		t.Errorf("note on samples left out: %q", got)
	}
	b.shot(t, "6_chat")
	b.do(t, click("#theme"))
	b.shot(t, "7_chat_dark")
	b.do(t, click("#theme"), chromedp.EmulateViewport(420, 900))
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
	b.do(t, click("table.scores a.cell"))
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
	b.do(t, click("table.scores a.cell"))
	b.wait(t, `document.querySelector("#samples .list")`)
	opened := time.Since(start)
	start = time.Now()
	b.do(t, chromedp.SendKeys(chromedp.CSS(`input[type=search]`), "barbecue"))
	b.wait(t, `!`+listed+`.endsWith("of 20,000")`)
	t.Logf("opened in %v, searched in %v", opened.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	b.quiet(t)
}
