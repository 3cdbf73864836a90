package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) { os.Exit(Around(m).Run()) }

// serve serves what is given as the query's "body", in a page that may run only
// the script of this site.
func serve(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Security-Policy", "default-src * data:; style-src 'unsafe-inline'; script-src 'self'")
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!doctype html><title>x</title><link rel="icon" href="data:,"><script src="/x.js" defer></script>`+
				r.FormValue("body"))
		case "/x.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `for (const e of document.querySelectorAll("[data-run]")) ({
				error: () => console.error("wrong", 7), throw: () => { throw new Error("boom") }, alert: () => alert("hi"),
				fetch: () => fetch("/gone?x=1"), log: () => console.log("fine"), reject: () => Promise.reject(new Error("late")),
			})[e.dataset.run]()`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (p *Page) show(body string) {
	p.Go("/?body=" + url.QueryEscape(body))
	p.Until("true")
}

// Whatever a page does wrong is noticed, and nothing else.
func TestTroubles(t *testing.T) {
	p := Open(t, serve(t), Desktop)
	for body, want := range map[string]string{
		`<p>fine</p><i data-run="log"></i><img src="data:,">`: ``,
		`<i data-run="error"></i>`:                            `console: "wrong" 7`,
		`<i data-run="throw"></i>`:                            `exception: .* Error: boom\s.*`,
		`<i data-run="reject"></i>`:                           `exception: .* Error: late\s.*`,
		`<i data-run="alert"></i>`:                            `dialog: hi`,
		`<i data-run="fetch"></i>`:                            `404 /gone\?x=1`,
		`<img src="/none.png">`:                               `404 /none.png`,
		`<script>let x</script>`:                              `console: .* Content Security Policy .*`,
		`<p onclick="x()">p</p>`:                              `console: .* Content Security Policy .*`,
		`<img src="http://other.example/x.png">`: `elsewhere: http://other.example/x.png not loaded: ` +
			`net::ERR_NAME_NOT_RESOLVED`,
		`<base href="http://[::1]:1/"><img src="x.png">`: `elsewhere: http://\[::1\]:1/x.png not loaded: .*`,
	} {
		p.show(body)
		whole, got := regexp.MustCompile(`^(?s:`+want+`)$`), strings.Join(p.heard(), " ")
		for late := time.Now().Add(patience); !whole.MatchString(got) && time.Now().Before(late); {
			p.Until("true") // what is fetched may come after the page
			got = strings.TrimSpace(got + " " + strings.Join(p.heard(), " "))
		}
		if !whole.MatchString(got) {
			t.Errorf("%s: heard %q", body, got)
		}
	}
}

// heard takes the troubles so far, so that they do not fail the test.
func (p *Page) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.troubles
	p.troubles = nil
	return heard
}

func TestMissing(t *testing.T) {
	if _, err := find([]string{"no-such-browser"}); err == nil ||
		!strings.Contains(err.Error(), "install the package chromium") {
		t.Errorf("%v", err)
	}
}

func TestExpected(t *testing.T) {
	p := Open(t, serve(t), Desktop)
	p.show(`<i data-run="fetch"></i><i data-run="error"></i>`)
	p.Hear("404 /gone")
	p.mu.Lock()
	rest := p.unexpected()
	p.mu.Unlock()
	if diff := cmp.Diff([]string{`console: "wrong" 7`}, rest); diff != "" {
		t.Error(diff)
	}
	p.Expect("wrong")
}

func TestLook(t *testing.T) {
	p := Open(t, serve(t), Look{Width: 390, Height: 700, Dark: true, Calm: true})
	p.show(`<meta name="viewport" content="width=device-width"><div style="width:500px">x</div>`)
	if got := Eval[string](
		p, `[screen.width, matchMedia("(prefers-color-scheme: dark)").matches,`+
			` matchMedia("(prefers-reduced-motion: reduce)").matches].join()`); got != "390,true,true" {
		t.Error(got)
	}
	if got := p.Overflow(); got < 110 {
		t.Errorf("a page of 500 pixels is %d wider than a phone", got)
	}
	p.Look(Look{Width: 600, Height: 700, NoScript: true})
	p.show(`<i data-run="error"></i><noscript>none here</noscript>`)
	p.Has("body", "none here")
	if got := p.Overflow(); got != 0 {
		t.Errorf("a narrow page overflows by %d", got)
	}
}
