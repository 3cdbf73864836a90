// Command screenshots takes the pictures of README and docs: it lets the demo play its
// story, opens its pages in Chromium, and writes a picture of each into a folder.
//
//	go run ./cmd/screenshots bin/rollcall docs/images
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"rollcall/internal/testing/browser"
)

const (
	store = "/store/store_aurora"
	list  = store + "/customers?sort=-spent"
	who   = "John Doe" // who has done most in the demo's story
	// school is the store that has a year behind it, and narrow a filter of its list.
	school = "/store/store_harbour"
	narrow = "type=paying&type=subscription&progress_min=1&progress_max=99&engagement=slipping&engagement=dormant"
	// patience is how long the demo may take to play, and a page to load.
	patience = 5 * time.Minute
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: screenshots PROGRAM FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1], os.Args[2])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, folder string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := os.MkdirTemp("", "rollcall-screenshots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	demo, signIn, err := play(ctx, program, data)
	if err != nil {
		return err
	}
	defer func() {
		demo.Process.Signal(os.Interrupt)
		err = errors.Join(err, demo.Wait())
	}()
	pictures, err := take(ctx, signIn)
	for name, picture := range pictures {
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), picture, 0o644)
		}
	}
	return err
}

var link = regexp.MustCompile(`http://\S+/signin\?\S+`)

// play starts the demo, and returns the link that signs in when it has played.
func play(ctx context.Context, program, data string) (*exec.Cmd, string, error) {
	demo := exec.CommandContext(ctx, program, "demo", "--seed", "1", "--data", data, "--listen", "127.0.0.1:0")
	demo.Stderr = os.Stderr
	out, err := demo.StdoutPipe()
	if err == nil {
		err = demo.Start()
	}
	if err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if signIn := link.FindString(lines.Text()); signIn != "" {
			go io.Copy(io.Discard, out)
			return demo, signIn, nil
		}
	}
	return nil, "", errors.Join(fmt.Errorf("the demo gave no link to sign in: %w", lines.Err()), demo.Wait())
}

// shot is a picture of a page.
type shot struct {
	name, path    string
	width, height int64
	dark          bool
	steps         []step // before it
}

// step is done in a page, in JavaScript, and done when until holds, in the page to which it may lead.
type step struct{ do, until string }

// click clicks the first elements that a selector finds.
func click(selector string, n int, until string) step {
	return step{fmt.Sprintf("[...document.querySelectorAll(%q)].slice(0, %d).forEach(e => e.click())", selector, n), until}
}

// counted waits for charts of minutes: what was just played is not in them at once.
var counted = step{"", `!document.body.innerText.includes("No data yet")`}

// follow follows a link with this text, to a page with it in the title.
func follow(text string) step {
	link := `[...document.querySelectorAll("main a")].find(a => a.textContent.trim() === %q).click()`
	return step{fmt.Sprintf(link, text), fmt.Sprintf(`document.title.includes(%q)`, text)}
}

// sent waits until a text is on the page, which is loaded anew: mail goes out after the story.
func sent(text string) step {
	return step{"", fmt.Sprintf(`document.body.innerText.includes(%q) || void setTimeout(() => location.reload(), 500)`,
		text)}
}

// write writes a text into a field and sends its form.
func write(field, text, until string) step {
	do := `(e => { e.value = %q; e.form.requestSubmit(e.form.querySelector("[value=save]")) })(document.querySelector(%q))`
	return step{fmt.Sprintf(do, text, field), until}
}

// shots are all pictures, in an order in which none shows what is done for a later one.
var shots = []shot{
	{name: "operators.png", path: "/admin", width: 1280, height: 1000, steps: []step{counted}},
	{name: "operators-dark.png", path: "/admin", width: 1280, height: 1000, dark: true, steps: []step{counted}},
	{name: "event.png", path: "/admin/events?source=stripe", width: 1280, height: 900,
		steps: []step{follow("checkout.session.completed")}},
	{name: "customers.png", path: list, width: 1280, height: 876},
	{name: "customers-dark.png", path: list, width: 1280, height: 876, dark: true},
	{name: "customers-phone.png", path: list, width: 390, height: 844},
	{name: "settings.png", path: store + "/settings", width: 1280, height: 900},
	{name: "mail.png", path: store + "/mail", width: 1280, height: 800},
	{name: "mailbox.png", path: store + "/mail/mailbox", width: 1280, height: 800,
		steps: []step{sent("Welcome to Home Studio Starter"), follow("Welcome to Home Studio Starter")}},
	{name: "value.png", path: school + "/value", width: 1280, height: 1030},
	{name: "filters.png", path: school + "/customers?sort=-spent&" + narrow, width: 1280, height: 720,
		steps: []step{click(".chip:nth-of-type(2) summary", 1, "true")}},
	{name: "selection.png", path: school + "/customers?sort=-spent&" + narrow, width: 1280, height: 720,
		steps: []step{click("tbody input[type=checkbox]", 3, "document.querySelector('.bulk.some')"),
			click(".bulk summary", 1, "document.querySelector('#tag').checkVisibility()")}},
	{name: "bulk.png", path: school + "/customers?sort=-spent&" + narrow, width: 1280, height: 300,
		steps: []step{click("[name=all]", 1, "true"),
			{`document.querySelector("#tag").value = "Win back"; document.querySelector("[name=do][value=tag]").click()`,
				"document.body.innerText.includes('Undo')"}}},
	{name: "builder.png", path: school + "/segments", width: 1280, height: 900,
		steps: []step{click("[aria-label='Copy and change Stuck']", 1, "document.querySelector('.preview .size b')")}},
	{name: "segments.png", path: school + "/segments", width: 1280, height: 640,
		steps: []step{click("[aria-label='Copy and change Stuck']", 1, "document.querySelector('.builder')"),
			click("[name=pinned]", 1, "true"), write("#name", "Stuck, to call", "document.querySelector('main .badge')")}},
	{name: "customer.png", path: list, width: 1280, height: 1080, steps: []step{follow(who),
		write("#tag", "Beta group", "document.querySelector('#tags .chips')"),
		write("#note", "Asked for a refund on Tuesday, took 20% off instead.", "document.querySelector('.notes .text')")}},
}

// take opens the pages and returns their pictures by name.
func take(ctx context.Context, signIn string) (map[string][]byte, error) {
	tab, end, err := browser.Start()
	if err != nil {
		return nil, err
	}
	defer end()
	defer context.AfterFunc(ctx, end)()
	if err := chromedp.Do(tab, chromedp.Navigate(signIn), chromedp.WaitVisible(chromedp.CSS("table a"))); err != nil {
		return nil, err
	}
	site, _, _ := strings.Cut(signIn, "/signin")
	pictures := map[string][]byte{}
	for _, s := range shots {
		if pictures[s.name], err = s.take(tab, site); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return pictures, nil
}

// take takes the picture.
func (s shot) take(tab context.Context, site string) ([]byte, error) {
	if _, err := chromedp.Call(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: s.width, Height: s.height, DeviceScaleFactor: 1}); err != nil {
		return nil, err
	}
	scheme := map[bool]string{false: "light", true: "dark"}[s.dark]
	if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		return nil, err
	}
	if err := chromedp.Do(tab, chromedp.Navigate(site+s.path)); err != nil {
		return nil, err
	}
	for _, step := range append(s.steps, step{"scrollTo(0, 0)", "true"}) {
		if err := step.take(tab); err != nil {
			return nil, err
		}
	}
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		return nil, err
	}
	return smaller(picture)
}

// take takes the step. Parts of pages that load later are waited for as well.
func (s step) take(tab context.Context) error {
	if err := chromedp.Do(tab, chromedp.Evaluate[chromedp.Void](s.do)); err != nil {
		return err
	}
	look := chromedp.Evaluate[bool](
		`document.readyState === "complete" && !document.querySelector(".htmx-request") && !!(` + s.until + `)`)
	for limit := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		met, err := chromedp.Run(tab, look) // an error may be that one page went and the next is not there
		if met && err == nil {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("waited in vain for %s: %w", s.until, err)
		}
	}
}

// smaller is a picture in the 256 colours that most of it has: pages have few.
func smaller(picture []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	pixels := map[color.Color]int{}
	area := whole.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			pixels[whole.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(pixels), func(a, b color.Color) int { return pixels[b] - pixels[a] })
	few := image.NewPaletted(area, colours[:min(len(colours), 256)])
	draw.Draw(few, area, whole, area.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}
