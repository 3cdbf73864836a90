package facts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Ids are text, whatever a database made of them.
func TestMetadataValues(t *testing.T) {
	var m metadata
	if err := json.Unmarshal(
		[]byte(`{"courseId":91501,"store_id":7.0,"userId":true,"planId":null,"bundleId":["b"],"tierId":0.5,`+
			`"productId":18446744073709551616,"creatorId":"x"}`), &m); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"courseId": "91501", "storeId": "7", "userId": "true", "planId": "", "bundleId": "", "tierId": "",
		"productId": "18446744073709551616", "creatorId": "x",
	} {
		if got := m.get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	for _, odd := range []string{`[]`, `"x"`, `null`, `7`} {
		if err := json.Unmarshal([]byte(odd), new(metadata)); err != nil {
			t.Errorf("%s: %v", odd, err)
		}
	}
}

func TestMetadataList(t *testing.T) {
	for value, want := range map[string]string{
		``: "", `[]`: "", `null`: "", `["a","b"]`: "a b", ` [ "a" , "b" ] `: "a b", `[91501,91502]`: "91501 91502",
		`["a",7,"b",8.0]`: "a 7 b 8",
		`a,b , c`:         "a b c", `a`: "a", `91501`: "91501", `"a"`: "a", `"a","b"`: "a b", `['a', 'b']`: "a b",
		`[a,b]`: "a b", `a,,b,`: "a b",
		`["a","b","a"]`: "a b", `a,a`: "a", `["a",null,"",true,["x"],{"no":1},"b"]`: "a b",
		`[{"id":"c1","qty":2},{"id":7}]`: "c1", `{"id":"c1"}`: "",
		`["a","b`: "a", `["a","b"`: "a b", `["a",`: "a", `[1,2,30`: "1 2", `["a,b","c`: "a,b",
		`[{"id":"c1","qty":2},{"id":"c2`:               "",
		`["` + strings.Repeat("x", maxID+1) + `","b"]`: "b",
	} {
		if got := strings.Join((metadata{"courseIds": value}).list("courseIds"), " "); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	if got := (metadata{"course_ids": "[1]"}).list("courseIds"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("snake_case: %q", got)
	}
}

// A list that was cut off gives all whole ids before the cut, and nothing else.
func TestMetadataListCut(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9é]{1,40}`), 1, 60, rapid.ID).Draw(r, "ids")
		form := rapid.SampledFrom([]string{"json", "commas", "numbers"}).Draw(r, "form")
		value := strings.Join(ids, ",")
		switch form {
		case "json":
			text, _ := json.Marshal(ids)
			value = string(text)
		case "numbers":
			for i := range ids {
				ids[i] = fmt.Sprintf("%d", 1_000_000_000+i*7)
			}
			value = "[" + strings.Join(ids, ",") + "]"
		}
		whole, at := 0, 0 // how many end before the cut, so that it shows
		for i, id := range ids {
			at += len([]rune(id)) + map[string]int{"json": 3, "commas": 1, "numbers": 1}[form]
			if at <= maxMetadata {
				whole = i + 1
			}
		}
		runes := []rune(value)
		if len(runes) < maxMetadata {
			whole = len(ids)
		}
		got := (metadata{"courseIds": string(runes[:min(len(runes), maxMetadata)])}).list("courseIds")
		if !slices.Equal(got, ids[:whole]) {
			r.Fatalf("%s: %q, want the first %d", value, got, whole)
		}
	})
}
