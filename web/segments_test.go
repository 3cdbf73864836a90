package web

import (
	"strings"
	"testing"
)

// The API says of each segment, and of a rule that is tried, who is in it, by the names
// that people gave.
func TestSegmentsSayWhoIsIn(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	asJSON := withHeader("Content-Type", "application/json")
	const path, rule = "/api/stores/studio/segments", `{"enrollment": {"course": "mixing", "progress_max": 50}}`
	const text = `"text":"Customers who are enrolled in Mixing Basics (progress at most 50%)."`
	made := x.send(t, "POST", path, `{"name": "Halfway", "kind": "dynamic", "rule": `+rule+`}`, asAdmin, asJSON)
	static := x.send(t, "POST", path, `{"name": "Friends", "kind": "static"}`, asAdmin, asJSON)
	if !strings.Contains(static.text, `"text":"Customers who were put into it."`) {
		t.Errorf("static: %s", static.text)
	}
	for what, answer := range map[string]answer{
		"made":    made,
		"shown":   x.get(t, made.Header.Get("Location"), asAdmin),
		"listed":  x.get(t, path, asAdmin),
		"changed": x.send(t, "PATCH", made.Header.Get("Location"), `{"pinned": true}`, asAdmin, asJSON),
		"tried":   x.send(t, "POST", path+"/preview", `{"rule": `+rule+`}`, asAdmin, asJSON),
	} {
		if !strings.Contains(answer.text, text) {
			t.Errorf("%s: %d %s", what, answer.StatusCode, answer.text)
		}
	}
}
