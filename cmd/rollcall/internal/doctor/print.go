package doctor

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/store/finding"
)

// print prints a report.
func (c Options) print(w io.Writer, r Report) error {
	if c.JSON {
		return show.JSON(w, r)
	}
	for _, f := range r.Findings {
		if f.Severity != finding.OK {
			c.printFinding(w, f)
		}
	}
	passed := "Passed " + show.Count(r.Count(finding.OK), "check")
	if !c.Verbose {
		passed += "; -v lists them"
	}
	fmt.Fprintf(w, "%s, %s, %s. %s.\n", c.count(r, finding.Problem), c.count(r, finding.Warning),
		c.count(r, finding.Note), c.Ink.Green(passed))
	for _, f := range r.Findings {
		if f.Severity == finding.OK && c.Verbose {
			fmt.Fprintf(w, "  %s %-10s %s\n", c.Ink.Green("✓"), f.Check, f.What)
		}
	}
	return nil
}

// count is how many findings of a severity there are, in its colour if there are any.
func (c Options) count(r Report, of finding.Severity) string {
	text := show.Count(r.Count(of), string(of))
	if r.Count(of) == 0 {
		return text
	}
	return c.colour(of)(text)
}

func (c Options) colour(of finding.Severity) func(string) string {
	switch of {
	case finding.Problem:
		return c.Ink.Red
	case finding.Warning:
		return c.Ink.Yellow
	case finding.OK:
		return c.Ink.Green
	}
	return c.Ink.Blue
}

// printFinding prints a finding: what is wrong, examples, the fix, and its name.
func (c Options) printFinding(w io.Writer, f finding.Finding) {
	severity := fmt.Sprintf("%-8s", strings.ToUpper(string(f.Severity)))
	fmt.Fprintf(w, "%s %s\n", c.colour(f.Severity)(severity), sentence(f.What))
	for _, example := range f.Examples {
		fmt.Fprintf(w, "           %s\n", show.Clip(example.String(), maxExample))
	}
	if more := f.Count - int64(len(f.Examples)); more > 0 && len(f.Examples) > 0 {
		fmt.Fprintf(w, "           … and %s more\n", show.Number(more))
	}
	printFixes(w, "         ", f.Fix)
	fmt.Fprintf(w, "         %s\n\n", c.Ink.Grey(strings.TrimSpace(f.Kind+" "+f.Subject)))
}

// sentence begins a text with a capital, if it begins with a word and not with an id.
func sentence(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz,'") != "" || word == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// printFixes prints commands, so that each line can be pasted. Where no one sits before a
// browser, an address is of more use than what opens it.
func printFixes(w io.Writer, indent string, fix []string) {
	for i, command := range fix {
		label := "Fix:  "
		if i > 0 {
			label = "      "
		}
		if address, ok := strings.CutPrefix(command, "xdg-open "); ok {
			label, command = "Open: ", address
		}
		fmt.Fprintf(w, "%s%s%s\n", indent, label, command)
	}
}

// printPerson prints the report about one person.
func (c Options) printPerson(w io.Writer, r personReport) error {
	if c.JSON {
		return show.JSON(w, r)
	}
	fmt.Fprintln(w, r.Sentence)
	printFixes(w, "  ", r.Fix)
	for _, s := range r.Stores {
		c.printPersonStore(w, s)
	}
	if len(r.NoStore) > 0 {
		fmt.Fprintf(w, "\nWithout a known store:\n")
		c.printOffList(w, r.NoStore)
	}
	for _, m := range r.Events {
		fmt.Fprintf(w, "\n%s.\n", strings.TrimSuffix(m.Sentence, "."))
		printFixes(w, "  ", m.Fix)
	}
	if r.More {
		fmt.Fprintf(w, "\nThere are more facts.\n")
	}
	if len(r.Unsearched) > 0 {
		fmt.Fprintf(w, "\nSearching all of %s for the address took too long: facts that it was used for, and that belong "+
			"to another address, are not shown.\n", strings.Join(r.Unsearched, ", "))
	}
	return nil
}

func (c Options) printPersonStore(w io.Writer, s personStore) {
	fmt.Fprintf(w, "\nStore %s\n", nameOf(s))
	for _, l := range s.Listed {
		fmt.Fprintf(w, "  %s\n", l.Sentence)
		for _, why := range l.Why {
			fmt.Fprintf(w, "    %s\n", why)
		}
	}
	switch {
	case len(s.Listed) > 0:
	case len(s.OffList) > 0:
		fmt.Fprintln(w, "  Not on the list.")
	default:
		fmt.Fprintln(w, "  Not on the list: no enrollment, purchase or subscription here was reported.")
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
	c.printOffList(w, s.OffList)
}

func nameOf(s personStore) string {
	if s.Name == s.StoreID {
		return show.Visible(s.StoreID)
	}
	return show.Visible(s.Name + " (" + s.StoreID + ")")
}

// printOffList prints some unattached facts for each reason; JSON has all.
func (c Options) printOffList(w io.Writer, all []offList) {
	shown := map[string]int{}
	for _, o := range all {
		if shown[o.Reason]++; shown[o.Reason] > max(c.Examples, 1) {
			continue
		}
		fmt.Fprintf(w, "  %s\n", o.Sentence)
		printFixes(w, "    ", o.Fix)
	}
	for _, reason := range slices.Sorted(maps.Keys(shown)) {
		if more := shown[reason] - max(c.Examples, 1); more > 0 {
			fmt.Fprintf(w, "  … and %s more (%s)\n", show.Number(int64(more)), reason)
		}
	}
}

// maxExample is how many characters of an example are printed; JSON has all.
const maxExample = 400

// Report holds the findings, most severe first.
type Report struct {
	Store     string            `json:"store"`
	CheckedAt time.Time         `json:"checked_at"`
	Findings  []finding.Finding `json:"findings"`
}

// Weighty reports whether there is a warning or a problem.
func (r Report) Weighty() bool {
	return r.Count(finding.Problem)+r.Count(finding.Warning) > 0
}

func (r Report) Count(s finding.Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}
