package browser

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// Shot keeps a picture of the whole page among the test's artifacts, if the
// tests run with -artifacts: make test ARGS=-artifacts
func (p *Page) Shot(name string) {
	p.t.Helper()
	kept := flag.Lookup("test.artifacts")
	if t, ok := p.t.(*testing.T); ok && kept != nil && kept.Value.String() == "true" {
		if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), p.picture(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Page) picture() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatalf("a picture: %v", err)
	}
	return png
}
