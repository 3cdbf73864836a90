package creators

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollcall/store/campaigns"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// blanks finds the blanks of a question's sentence.
var blanks = regexp.MustCompile(`\{(\w+)\}`)

// fragment is a part of a question's sentence: a text, or a blank that a form fills in.
type fragment struct {
	Text    string
	Number  *campaigns.Number // nil: it is no number
	Value   string            // of the number
	Courses []core.Option     // none: it does not ask for courses
	Product []core.Option     // none: it does not ask for a product
}

// fragments splits a sentence at its blanks, which fill fills in.
func fragments(sentence string, fill func(name string) fragment) (all []fragment) {
	for {
		at := blanks.FindStringSubmatchIndex(sentence)
		if at == nil {
			return append(all, fragment{Text: sentence})
		}
		all = append(all, fragment{Text: sentence[:at[0]]}, fill(sentence[at[2]:at[3]]))
		sentence = sentence[at[1]:]
	}
}

// whoText says whom a campaign is for.
func whoText(c campaigns.Campaign, labels labels) string {
	return blanks.ReplaceAllStringFunc(campaigns.QuestionNamed(c.Trigger.Question).Sentence, func(blank string) string {
		switch name := strings.Trim(blank, "{}"); name {
		case "courses":
			return listed(c.Trigger.Courses, labels, "a course")
		case "product":
			return listed(slices.DeleteFunc([]string{c.Trigger.Product}, empty), labels, "a product")
		default:
			return strconv.Itoa(c.Trigger.Numbers[name])
		}
	})
}

func empty(s string) bool { return s == "" }

// listed are the labels of ids: one of several is enough.
func listed(ids []string, labels labels, none string) string {
	switch n := len(ids); {
	case n == 0:
		return none
	case n > 3:
		return labels.of(ids[0]) + " or " + strconv.Itoa(n-1) + " others"
	}
	var all []string
	for _, id := range ids {
		all = append(all, labels.of(id))
	}
	return strings.Join(all, " or ")
}

// testText says what a test asks, behind "the customer".
func testText(t campaigns.Test, labels labels) string {
	return strings.NewReplacer("{number}", strconv.Itoa(t.Number), "{product}", labels.of(t.Product)).
		Replace(campaigns.FactNamed(t.Fact).Label)
}

// conditionText says when a step is done.
func conditionText(t *campaigns.Test, labels labels) string {
	switch {
	case t == nil:
		return ""
	case t.Not:
		return "unless the customer " + testText(*t, labels)
	}
	return "only if the customer " + testText(*t, labels)
}

// whenText says when a step is done.
func whenText(nth int, st campaigns.Step) string {
	switch {
	case st.Wait == 0 && nth == 0:
		return "At once"
	case st.Wait == 0:
		return "Then"
	case nth == 0:
		return "After " + st.Wait.Text()
	}
	return strings.ToUpper(st.Wait.Text()[:1]) + st.Wait.Text()[1:] + " later"
}

// doText says what a step does that is no mail.
func doText(st campaigns.Step, labels labels) string {
	switch st.Do {
	case campaigns.DoTag:
		return "add the tag " + labels.of(st.Tag)
	case campaigns.DoUntag:
		return "remove the tag " + labels.of(st.Tag)
	case campaigns.DoNote:
		return "add a note"
	}
	return "mail"
}

// reasonFor is why a change was refused, in words.
func reasonFor(err error) string {
	if wrong, is := errors.AsType[*pg.BadParam](err); is {
		if reach, ok := strings.CutPrefix(wrong.Reason, "is missing: this"); ok {
			return "This" + reach + "."
		}
		return strings.ToUpper(wrong.Name[:1]) + strings.ReplaceAll(wrong.Name[1:], "_", " ") + " " + wrong.Reason + "."
	}
	return core.Explain(err).Message
}
