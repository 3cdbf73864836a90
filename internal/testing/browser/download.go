package browser

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// Download clicks a link and returns the file that the browser saves: its name
// and what is in it.
func (p *Page) Download(selector string) (name, content string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	dir := p.t.TempDir()
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
		DownloadPath: dir, EventsEnabled: new(true)})
	if err != nil {
		p.t.Fatalf("download %s: %v", selector, err)
	}
	progress := chromedp.BrowserEvents(ctx, browser.DownloadProgress)
	p.Click(selector)
	for event, err := range progress {
		if err != nil || event.State == browser.DownloadProgressStateCanceled {
			p.t.Fatalf("download %s: %v %v", selector, event, err)
		}
		if event.State == browser.DownloadProgressStateCompleted {
			break
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		p.t.Fatalf("download %s: %v %v", selector, files, err)
	}
	saved, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil {
		p.t.Fatalf("download %s: %v", selector, err)
	}
	return files[0].Name(), string(saved)
}
