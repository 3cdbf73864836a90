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
	// patience is how long the demo may take to play, and a page to load.
	patience = 3 * time.Minute
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
	click         string // selector of what is clicked before, the first two
	follow        string // text of a link that leads to the page
}

// shots are all pictures.
var shots = []shot{
	{name: "operators.png", path: "/admin", width: 1280, height: 1000},
	{name: "operators-dark.png", path: "/admin", width: 1280, height: 1000, dark: true},
	{name: "event.png", path: "/admin/events?source=stripe", width: 1280, height: 900,
		follow: "checkout.session.completed"},
	{name: "customers.png", path: list, width: 1280, height: 876},
	{name: "customers-dark.png", path: list, width: 1280, height: 876, dark: true},
	{name: "customers-phone.png", path: list, width: 390, height: 844},
	{name: "selection.png", path: list, width: 1280, height: 876, click: "tbody input[type=checkbox]"},
	{name: "segments.png", path: store + "/segments", width: 1280, height: 780},
	{name: "settings.png", path: store + "/settings", width: 1280, height: 900},
	{name: "customer.png", path: list, width: 1280, height: 1000, follow: who},
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
	if s.follow != "" {
		link := fmt.Sprintf(`[...document.querySelectorAll("a")].find(a => a.textContent.trim() === %q).href`, s.follow)
		at, err := chromedp.Run(tab, chromedp.Evaluate[string](link))
		if err == nil {
			err = chromedp.Do(tab, chromedp.Navigate(at))
		}
		if err != nil {
			return nil, err
		}
	}
	if s.click != "" {
		boxes := fmt.Sprintf("[...document.querySelectorAll(%q)].slice(0, 2).forEach(box => box.click())", s.click)
		if err := chromedp.Do(tab, chromedp.Evaluate[chromedp.Void](boxes)); err != nil {
			return nil, err
		}
	}
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	if err != nil {
		return nil, err
	}
	return smaller(picture)
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
