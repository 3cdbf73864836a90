package web

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"rollcall/internal/testing/browser"
)

// axeSource is axe-core, which finds what keeps people from using a page.
var axeSource = sync.OnceValues(func() (string, error) {
	file, err := os.Open("testdata/axe/axe-core-4.14.1.min.js.gz")
	if err != nil {
		return "", err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	source, err := io.ReadAll(plain)
	return string(source), err
})

// violations lets axe-core look at the page, with all of its rules.
func violations(t *testing.T, p *browser.Page) []string {
	t.Helper()
	source, err := axeSource()
	if err != nil {
		t.Fatal(err)
	}
	if !browser.Eval[bool](p, `"axe" in window`) {
		browser.Eval[bool](p, source+"\n;true")
	}
	return browser.Eval[[]string](p, `axe.run({resultTypes: ["violations"], preload: false, iframes: false}).then(found =>
		found.violations.flatMap(v => v.nodes.map(n => [v.id, v.help, n.html.slice(0, 200), n.failureSummary].join("; "))))`)
}

func accessible(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	for _, violation := range violations(t, p) {
		t.Errorf("%s: %s", what, strings.ReplaceAll(violation, "\n", " "))
	}
}

// looks are the ways in which every page is looked at.
func looks() map[string]browser.Look {
	all := map[string]browser.Look{}
	for device, look := range map[string]browser.Look{"desktop": browser.Desktop, "phone": browser.Phone} {
		for _, dark := range []bool{false, true} {
			look.Dark = dark
			all[fmt.Sprintf("%s, dark %t", device, dark)] = look
		}
	}
	return all
}
