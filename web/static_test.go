package web

import (
	"regexp"
	"strings"
	"testing"
)

// Pages name their assets by what is in them, so browsers may keep those for
// good, and see a new version at once.
func TestAssets(t *testing.T) {
	x := open(t, nil)
	addresses := regexp.MustCompile(`/assets/[^"]+`).FindAllString(x.get(t, "/signin").text, -1)
	if len(addresses) < 2 {
		t.Fatalf("%q", addresses)
	}
	for _, address := range addresses {
		const forGood, forNow = "public, max-age=31536000, immutable", "public, max-age=300"
		got := x.get(t, address)
		tag := got.Header.Get("ETag")
		if got.StatusCode != 200 || got.Header.Get("Cache-Control") != forGood || tag == "" || got.text == "" {
			t.Errorf("%s: %d %v", address, got.StatusCode, got.Header)
		}
		if same := x.get(t, address, withHeader("If-None-Match", tag)); same.StatusCode != 304 || same.text != "" ||
			same.Header.Get("Cache-Control") != forGood {
			t.Errorf("%s: %d %v", address, same.StatusCode, same.Header)
		}
		name, _, _ := strings.Cut(address, "?")
		for _, other := range []string{name, name + "?v=", name + "?v=0123456789abcdef"} {
			if got := x.get(t, other); got.StatusCode != 200 || got.Header.Get("Cache-Control") != forNow {
				t.Errorf("%s: %d %v", other, got.StatusCode, got.Header)
			}
		}
	}
	if at, err := x.Hashes.URL("none.css"); err == nil {
		t.Errorf("an asset that is not there is at %s", at)
	}
}
