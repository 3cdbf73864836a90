package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestContributing: the files and folders that CONTRIBUTING.md names are there.
func TestContributing(t *testing.T) {
	top := map[string]bool{}
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		top[e.Name()] = true
	}
	seen := 0
	for _, m := range regexp.MustCompile("`([a-z]+/[^` ]*)`").FindAllStringSubmatch(readFile(t, "../../CONTRIBUTING.md"),
		-1) {
		path := strings.TrimSuffix(strings.TrimSuffix(m[1], "*"), "/")
		if first, _, _ := strings.Cut(path, "/"); !top[first] {
			t.Errorf("CONTRIBUTING.md: %s is no folder", first)
			continue
		}
		seen++
		if _, err := os.Stat("../../" + path); err != nil {
			t.Errorf("CONTRIBUTING.md: %v", err)
		}
	}
	if seen < 30 {
		t.Errorf("only %d places are named", seen)
	}
}
