// Command screenshots takes the pictures of the README: it lets the demo play
// its story, opens its pages in Chromium, and writes operators.png (health),
// customers.png (a store's list) and customer.png (one customer's own page) into
// a folder.
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
	"syscall"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"rollcall/internal/testing/browser"
)

const (
	list = "/store/store_aurora/customers?sort=-spent"
	who  = "John Doe" // who has done most in the demo's story
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

// take opens the pages and returns their pictures by name.
func take(ctx context.Context, signIn string) (map[string][]byte, error) {
	tab, end, err := browser.Start()
	if err != nil {
		return nil, err
	}
	defer end()
	defer context.AfterFunc(ctx, end)()
	pictures := map[string][]byte{}
	shoot := func(name string, height int64) error {
		if _, err := chromedp.Call(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: 1280, Height: height, DeviceScaleFactor: 1}); err != nil {
			return err
		}
		picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
		if err == nil {
			pictures[name], err = smaller(picture)
		}
		return err
	}
	if err := chromedp.Do(tab, chromedp.Navigate(signIn), chromedp.WaitVisible(chromedp.CSS("table a"))); err != nil {
		return nil, err
	}
	if err := shoot("operators.png", 780); err != nil {
		return nil, err
	}
	if err := chromedp.Do(tab, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("location.href = %q", list)),
		chromedp.WaitVisible(chromedp.CSS(".person"))); err != nil {
		return nil, err
	}
	if err := shoot("customers.png", 876); err != nil {
		return nil, err
	}
	if err := chromedp.Do(tab, chromedp.Click(chromedp.Search(fmt.Sprintf("//h2/a[.=%q]", who))),
		chromedp.WaitVisible(chromedp.CSS("#why"))); err != nil {
		return nil, err
	}
	return pictures, shoot("customer.png", 1000)
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
