package browser

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// What a page may do only where a test expects it.

// Expect says that a trouble will come which has text in it. At the test's end
// every trouble must have been expected, and each that was must have come.
// Troubles are, by their beginnings:
//
//	404 /path?query         an answer of status 400 or more
//	elsewhere: URL          a request to another host
//	not loaded: URL: why    a request without an answer
//	console: …              an error or a warning there, of the Content-Security-Policy too
//	exception: …            one that nobody caught
//	dialog: …               an alert, or the like
func (p *Page) Expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

// hear takes every event of the tab, in order.
func (p *Page) hear(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != p.site.Host && u.Scheme != "data" {
			p.trouble("elsewhere: %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			p.trouble("%d %s", e.Response.Status, strings.TrimPrefix(e.Response.URL, p.site.String()))
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			p.trouble("not loaded: %s", e.ErrorText)
		}
	case *log.EventEntryAdded:
		// That an answer was an error is known from the answer itself.
		failed := e.Entry.Source == log.EntrySourceNetwork && strings.HasPrefix(e.Entry.Text, "Failed to load resource")
		if !failed && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			p.trouble("console: %s", e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			p.trouble("console: %s", said(e.Args))
		}
	case *runtime.EventExceptionThrown:
		p.trouble("exception: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *page.EventJavascriptDialogOpening:
		p.trouble("dialog: %s", e.Message)
		// nothing goes on until it is closed
		go chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	case *inspector.EventTargetCrashed:
		p.trouble("the tab crashed")
	}
}

// said is what was written to the console.
func said(args []*runtime.RemoteObject) string {
	var words []string
	for _, a := range args {
		if a.Description != "" {
			words = append(words, a.Description)
		} else {
			words = append(words, string(a.Value))
		}
	}
	return strings.Join(words, " ")
}

func (p *Page) trouble(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.troubles = append(p.troubles, fmt.Sprintf(format, args...))
}

// Allow says that troubles may come which have text in them.
func (p *Page) Allow(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, text)
}

// check compares the troubles with those expected.
func (p *Page) check() {
	p.t.Helper()
	// All that the tab had to say before it answers this has been heard then.
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.NavigationEntries()); err != nil {
		p.t.Errorf("the tab does not answer at the end: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.unexpected() {
		p.t.Errorf("unexpected: %s", text)
	}
	for _, want := range p.expected {
		if !slices.ContainsFunc(p.troubles, func(text string) bool { return strings.Contains(text, want) }) {
			p.t.Errorf("expected, and did not come: %s", want)
		}
	}
}

// Hear waits until a trouble that is expected has come. What a page says is heard
// beside what is done with it: going on to another page may be quicker.
func (p *Page) Hear(text string) {
	p.t.Helper()
	p.Expect(text)
	for tick, end := time.NewTicker(20*time.Millisecond), time.After(patience); ; {
		p.mu.Lock()
		came := slices.ContainsFunc(p.troubles, func(trouble string) bool { return strings.Contains(trouble, text) })
		p.mu.Unlock()
		if came {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-end:
			p.t.Fatalf("did not come: %s", text)
		}
	}
}

// unexpected are the troubles that nobody expected.
func (p *Page) unexpected() []string {
	return slices.DeleteFunc(slices.Clone(p.troubles), func(text string) bool {
		return slices.ContainsFunc(slices.Concat(p.expected, p.allowed),
			func(want string) bool { return strings.Contains(text, want) })
	})
}
