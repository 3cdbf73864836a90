// Package browser gives tests a real browser: one Chromium for all tests of a
// binary, and for each test a context of its own, without cookies or a cache.
// Whatever a page does that none should do fails its test; see Page.Expect.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { testdb.Main(browser.Around(m)) }
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"github.com/chromedp/chromedp"
)

// shared is the browser of this process.
var shared struct {
	mu   sync.Mutex
	main bool // Around will end it
	ctx  context.Context
	end  func()
	err  error // of starting it: it is tried once
}

// Runner is a *testing.M, or what stands around one.
type Runner interface{ Run() int }

// Around is m, with the browser ended after it.
func Around(m Runner) Runner { return around{m} }

type around struct{ m Runner }

func (a around) Run() int {
	shared.main = true
	defer func() {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if shared.end != nil {
			shared.end()
		}
	}()
	return a.m.Run()
}

// get returns the context of the browser, which is started at the first call.
func get() (context.Context, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.main {
		return nil, errors.New("the package under test needs: func TestMain(m *testing.M) { testdb.Main(browser.Around(m)) }")
	}
	if shared.ctx == nil && shared.err == nil {
		shared.ctx, shared.end, shared.err = Start()
	}
	return shared.ctx, shared.err
}

// Start starts a browser. In the context it returns, chromedp opens pages.
func Start() (context.Context, func(), error) {
	program, err := find(places)
	if err != nil {
		return nil, nil, err
	}
	home, err := os.MkdirTemp("", "rollcall-browser-")
	if err != nil {
		return nil, nil, err
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.Env("HOME="+home, "TMPDIR="+home, // where it leaves things, not all of which it takes away
			"TZ=UTC"),
		// Chromium's sandbox does not run as root, nor in most containers. What
		// it would guard against is not here: the pages are our own.
		chromedp.NoSandbox,
		// A page that asks for something elsewhere is caught; should one not be,
		// it asks in vain.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("hide-scrollbars", true),
	)...)
	ctx, cancel := chromedp.NewContext(ctx)
	stop := func() { cancel(); end(); os.RemoveAll(home) }
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, nil, fmt.Errorf("%s does not start: %w", program, err)
	}
	return ctx, stop, nil
}

// places are where a browser may be: those of scripts/setup.sh.
var places = []string{
	"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
}

// find returns the first browser that is there.
func find(places []string) (string, error) {
	for _, name := range places {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", errors.New("no Chromium here: install the package chromium (apt-get install chromium), as `make " +
		"setup-test` does")
}
