package core

import (
	"fmt"
	"html/template"
)

// icons are the paths of line icons on a grid of 16 by 16, by name.
var icons = map[string]template.HTML{
	"book":    `<path d="M3 3h4a2 2 0 0 1 1 2v8a2 2 0 0 0-1-1.5H3zM13 3H9a2 2 0 0 0-1 2v8a2 2 0 0 1 1-1.5h4z"/>`,
	"cart":    `<path d="M2 3h2l1.5 7h7L14 5H5"/><circle cx="6.5" cy="12.5" r=".8"/><circle cx="11.5" cy="12.5" r=".8"/>`,
	"check":   `<path d="m3.5 8.5 3 3 6-7"/>`,
	"columns": `<rect x="2" y="3" width="12" height="10" rx="1"/><path d="M6 3v10M10 3v10"/>`,
	"copy": `<rect x="5" y="5" width="8" height="8" rx="1.5"/>` +
		`<path d="M10.5 5V3.5a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1H5"/>`,
	"crown":    `<path d="M2.5 12.5h11l1-7-3.5 2.5L8 3.5 5 8 1.5 5.5z"/>`,
	"download": `<path d="M8 2v8m-3-3 3 3 3-3M3 13h10"/>`,
	"flag":     `<path d="M4 14V2.5m0 .5h8l-2 3 2 3H4"/>`,
	"gift":     `<path d="M2.5 5.5h11V8h-11zM3.5 8v5.5h9V8M8 5.5v8M8 5.5C5 5.5 4.5 2.5 6 2.5s2 3 2 3 .5-3 2-3 1 3-2 3"/>`,
	"key":      `<circle cx="5" cy="11" r="2.5"/><path d="m7 9 6-6m-2 2 2 2"/>`,
	"left":     `<path d="M10 3 5 8l5 5"/>`,
	"loop":     `<path d="M13 8a5 5 0 1 1-1.5-3.5M13 2v3h-3"/>`,
	"mail":     `<rect x="2" y="3.5" width="12" height="9" rx="1.5"/><path d="m2.5 5 5.5 4 5.5-4"/>`,
	"more":     `<circle cx="3.5" cy="8" r=".9"/><circle cx="8" cy="8" r=".9"/><circle cx="12.5" cy="8" r=".9"/>`,
	"note":     `<path d="M3 2.5h10v7l-4 4H3zM9 13.5v-4h4"/>`,
	"person":   `<circle cx="8" cy="5" r="2.5"/><path d="M3 13.5c0-3 2-4.5 5-4.5s5 1.5 5 4.5"/>`,
	"plus":     `<path d="M8 3v10M3 8h10"/>`,
	"right":    `<path d="m6 3 5 5-5 5"/>`,
	"search":   `<circle cx="7" cy="7" r="4.5"/><path d="m11 11 3 3"/>`,
	"tag":      `<path d="M2.5 2.5h5l6 6-5 5-6-6z"/><circle cx="5.5" cy="5.5" r=".6"/>`,
	"undo":     `<path d="M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6"/>`,
}

// icon draws an icon in the colour of the text around it. It says nothing to screen
// readers: a word must stand beside it.
func icon(name string) (template.HTML, error) {
	paths, ok := icons[name]
	if !ok {
		return "", fmt.Errorf("there is no icon %q", name)
	}
	return `<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">` + paths + `</svg>`, nil
}
