package main

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What a page makes a browser load, and where it points.
var (
	loaded = regexp.MustCompile(`<(?:script|img|link|iframe|source|video|audio|object|embed)\b[^>]*?\s(?:src|href|data)="([^"]+)"`)
	asked  = regexp.MustCompile(`\s(?:hx-get|hx-post|data-url|action)="([^"]+)"`)
)

// weigh adds what the first page weighs as sent, and what it asks other hosts for.
func (a *asker) weigh(ctx context.Context, r *Report) error {
	for _, of := range []struct{ name, path string }{{"page", pagePath}, {"API answer", apiPath + "/customers"}} {
		plain, err := a.get(ctx, of.path, "identity")
		if err != nil {
			return err
		}
		packed, err := a.get(ctx, of.path, "gzip")
		if err != nil {
			return err
		}
		r.add("    weight of the "+of.name, float64(len(packed))/1024, "KiB",
			fmt.Sprintf("as sent to who accepts gzip; else %.1f", float64(len(plain))/1024))
	}
	page, err := a.get(ctx, pagePath, "identity")
	if err != nil {
		return err
	}
	own, foreign := parts(string(page))
	weight := 0
	for _, path := range own {
		part, err := a.get(ctx, path, "gzip")
		if err != nil {
			return err
		}
		weight += len(part)
	}
	r.add("    weight of its parts", float64(weight)/1024, "KiB",
		fmt.Sprintf("as sent to who accepts gzip: %s", strings.Join(own, ", ")))
	r.add("    requests to other hosts", float64(len(foreign)), "", strings.Join(foreign, ", "))
	return nil
}

// parts are what a page loads from its own host, and the other hosts that it
// asks for anything.
func parts(page string) (own, foreign []string) {
	for _, m := range loaded.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(m[1], "//") && !slices.Contains(own, m[1]) {
			own = append(own, m[1])
		}
	}
	for _, m := range append(loaded.FindAllStringSubmatch(page, -1), asked.FindAllStringSubmatch(page, -1)...) {
		if u, err := url.Parse(m[1]); err == nil && u.Host != "" && !slices.Contains(foreign, u.Host) {
			foreign = append(foreign, u.Host)
		}
	}
	return own, foreign
}
