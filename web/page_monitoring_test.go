package web

import (
	"testing"

	"rollcall/internal/testing/browser"
)

// The queue monitor asks for nothing that its policy blocks, and leads back. The browser fails
// the test for any request elsewhere and for any error in the console.
func TestPageMonitoring(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.begin(t, `{"kind": "courses"}`)
	for _, path := range []string{"/monitoring", "/monitoring/", "/monitoring/servers"} {
		p.Go(path)
		p.Has("#root", "Queues")
	}
	p.Shot("queues")
	p.Click(".way-back")
	p.Until(`location.pathname === "/admin"`)
}
