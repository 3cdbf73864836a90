package campaigns

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

// Limits of a campaign.
const (
	maxSteps     = 20
	maxNote      = 2_000     // characters
	maxHoldout   = 50        // percent
	maxCourses   = 100       // that it is limited to
	betweenMails = time.Hour // at least, by the campaign itself
)

// check checks what a campaign says of itself, and completes it. Its errors are *pg.BadParam.
func (c *Campaign) check() (err error) {
	if c.Name, err = tags.CheckName(c.Name); err != nil {
		return err
	}
	q := QuestionNamed(c.Trigger.Question)
	switch {
	case q == nil:
		return pg.Refuse("trigger", "question %q is not known; allowed are %s", c.Trigger.Question, questionNames())
	case c.Kind == "":
		c.Kind = q.Kind
	case c.Kind != q.Kind:
		return pg.Refuse("kind", "%q does not go with the question %s, which is for %q", c.Kind, q.Name, q.Kind)
	}
	for _, check := range []func(*Question) error{c.checkNumbers, c.checkTrigger, c.checkAudience, c.checkGoal,
		c.checkRules, c.checkSteps} {
		if err := check(q); err != nil {
			return err
		}
	}
	return nil
}

func questionNames() string {
	var names []string
	for _, q := range Questions {
		names = append(names, q.Name)
	}
	return strings.Join(names, ", ")
}

// checkNumbers checks the numbers of the question, and has all of them given.
func (c *Campaign) checkNumbers(q *Question) error {
	given := c.Trigger.Numbers
	c.Trigger.Numbers = map[string]int{}
	for _, n := range q.Numbers {
		value, ok := given[n.Name]
		if !ok {
			value = n.Default
		}
		if value < n.Least || value > n.Most {
			return pg.Refuse("trigger", "%s is %d; give a number from %d to %d", n.Name, value, n.Least, n.Most)
		}
		c.Trigger.Numbers[n.Name] = value
		delete(given, n.Name)
	}
	for name := range given {
		return pg.Refuse("trigger", "%q is not a number of the question %s", name, q.Name)
	}
	return nil
}

func (c *Campaign) checkTrigger(q *Question) error {
	if c.Trigger.Courses == nil {
		c.Trigger.Courses = []string{}
	}
	switch {
	case !q.Courses && len(c.Trigger.Courses) > 0:
		return pg.Refuse("trigger", "the question %s is not about courses: leave courses empty", q.Name)
	case len(c.Trigger.Courses) > maxCourses:
		return pg.Refuse("trigger", "has %d courses, at most %d are allowed", len(c.Trigger.Courses), maxCourses)
	case !pg.Storable(c.Trigger.Product + strings.Join(c.Trigger.Courses, "")):
		return pg.Refuse("trigger", "holds characters that are not text")
	}
	return nil
}

func (c *Campaign) checkAudience(*Question) error {
	if c.rule() == "" {
		c.Audience = nil
		return nil
	}
	r, err := customers.ParseRule(c.rule())
	c.Audience = json.RawMessage(r.String())
	return err
}

// rule is the audience's rule as text; empty: all.
func (c *Campaign) rule() string {
	if text := string(c.Audience); text != "null" {
		return text
	}
	return ""
}

func (c *Campaign) checkGoal(q *Question) error {
	if c.Goal != nil && c.Goal.Fact == "" {
		c.Goal = nil
	}
	return c.Goal.check("goal", q)
}

// check checks what is asked of runs of a question.
func (t *Test) check(field string, q *Question) error {
	if t == nil {
		return nil
	}
	f := FactNamed(t.Fact)
	switch {
	case f == nil, !slices.ContainsFunc(FactsOf(q), func(of Fact) bool { return of.Name == t.Fact }):
		var names []string
		for _, of := range FactsOf(q) {
			names = append(names, of.Name)
		}
		return pg.Refuse(field, "%q is not known of %s; allowed are %s", t.Fact, q.Name, strings.Join(names, ", "))
	case f.Number && (t.Number < 1 || t.Number > 100), !f.Number && t.Number != 0:
		return pg.Refuse(field, "has the number %d; give one from 1 to 100 if it asks for one", t.Number)
	case f.Product != (t.Product != "") || !pg.Storable(t.Product):
		return pg.Refuse(field, "product is missing, or is not asked for: give the id of a product with has")
	}
	return nil
}

// checkRules checks the rules by which it runs, and completes them.
func (c *Campaign) checkRules(*Question) error {
	if c.Class == "" {
		c.Class = Marketing
	}
	if c.Reentry == "" {
		c.Reentry = Each
	}
	if c.NotAfter == 0 {
		c.NotAfter = Wait(3 * day)
	}
	switch {
	case c.Class != Marketing && c.Class != Service:
		return pg.Refuse("class", "%q is not known; allowed are marketing and service", c.Class)
	case c.Reentry != Never && c.Reentry != Each && c.Reentry != After:
		return pg.Refuse("reentry", "%q is not known; allowed are never, each and after", c.Reentry)
	case (c.Reentry == After) != (c.ReentryDays > 0) || c.ReentryDays > 1000 || c.ReentryDays < 0:
		return pg.Refuse("reentry_days", "is %d; with reentry after give 1 to 1000 days, else none", c.ReentryDays)
	case c.Holdout < 0 || c.Holdout > maxHoldout:
		return pg.Refuse("holdout", "is %d; give 0 to %d percent", c.Holdout, maxHoldout)
	case c.Priority < 0 || c.Priority > 9:
		return pg.Refuse("priority", "is %d; give 0 (first) to 9 (last)", c.Priority)
	case c.NotAfter > Wait(30*day) || c.NotAfter < Wait(time.Hour):
		return pg.Refuse("not_after", "is %s; give 1h to 30d", c.NotAfter)
	}
	return nil
}

func (c *Campaign) checkSteps(q *Question) error {
	if n := len(c.Steps); n == 0 || n > maxSteps || len(c.OnGoal) > maxSteps {
		return pg.Refuse("steps", "are %d; give 1 to %d", n, maxSteps)
	}
	if c.OnGoal == nil {
		c.OnGoal = []Step{}
	}
	keys := map[string]bool{}
	sinceMail := maxWait
	for i := range c.Steps {
		st, place := &c.Steps[i], fmt.Sprintf("steps/%d", i)
		sinceMail += st.Wait
		switch err := st.check(place, q); {
		case err != nil:
			return err
		case keys[st.Key]:
			return pg.Refuse(place, "has the key %q, as another step; leave the key out for one of its own", st.Key)
		case st.Do == DoMail && sinceMail < Wait(betweenMails):
			return pg.Refuse(place, "follows another mail at once; let it wait for %s or more", Wait(betweenMails))
		case st.Do == DoMail:
			sinceMail = 0
		}
		keys[st.Key] = true
	}
	for i := range c.OnGoal {
		st, place := &c.OnGoal[i], fmt.Sprintf("on_goal/%d", i)
		if err := st.check(place, q); err != nil {
			return err
		}
		if st.Do == DoMail || st.Wait != 0 || st.If != nil {
			return pg.Refuse(place, "is done at once, without a condition, and is no mail: use tag, untag or note")
		}
	}
	return nil
}

// check checks a step, and gives it a key.
func (st *Step) check(place string, q *Question) error {
	if st.Key == "" {
		st.Key = strings.ToLower(rand.Text()[:6])
	}
	if len(st.Key) > 40 || !pg.Storable(st.Key) {
		return pg.Refuse(place, "has a key of %d bytes; leave it out, or give 1 to 40", len(st.Key))
	}
	if err := st.If.check(place+"/if", q); err != nil {
		return err
	}
	if st.Do != DoMail && (st.Mail != nil || st.B != nil) {
		return pg.Refuse(place, "is no mail: leave out mail and b")
	}
	switch st.Do {
	case DoMail:
		if st.Mail == nil {
			return pg.Refuse(place, "says nothing: give mail with a subject and a body")
		}
		if err := st.Mail.check(place + "/mail"); err != nil || st.B == nil {
			return err
		}
		return st.B.check(place + "/b")
	case DoTag, DoUntag:
		if !strings.HasPrefix(st.Tag, "tag_") || !pg.Storable(st.Tag) {
			return pg.Refuse(place, "has no tag: give the id of one")
		}
	case DoNote:
		if n := utf8.RuneCountInString(st.Note); n == 0 || n > maxNote || !pg.Storable(st.Note) {
			return pg.Refuse(place, "has a note of %d characters; write 1 to %d", n, maxNote)
		}
	default:
		return pg.Refuse(place, "%q is not known; allowed are mail, tag, untag and note", st.Do)
	}
	return nil
}

// check checks what a mail says; whether it can be sent is checked when it is saved.
func (t *Text) check(place string) error {
	t.Subject = strings.TrimSpace(t.Subject)
	if !pg.Storable(t.Subject) || !pg.Storable(t.Body) || strings.ContainsAny(t.Subject, "\r\n") {
		return pg.Refuse(place, "holds characters that are not text, or a subject of several lines")
	}
	return nil
}
