package campaigns

import (
	"context"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/customers"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// Texts says in a sentence each whom campaigns of a store are for.
func (s *Campaigns) Texts(ctx context.Context, storeID string, all []Campaign) (texts []string, err error) {
	defer pg.Wrap(&err, "campaigns.Texts(%q)", storeID)
	if len(all) == 0 {
		return nil, nil // the store may be none
	}
	titles, err := s.titles(ctx, storeID, all)
	if err != nil {
		return nil, err
	}
	for i := range all {
		text := all[i].Sentence(titles)
		if rule := all[i].rule(); rule != "" {
			r, _ := customers.ParseRule(rule) // a rule that is kept was valid
			only, err := s.readers.RuleText(ctx, storeID, r)
			if err != nil {
				return nil, err
			}
			text += " Of these: " + strings.ToLower(only[:1]) + only[1:]
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// titles are those of the courses that campaigns are limited to.
func (s *Campaigns) titles(ctx context.Context, storeID string, all []Campaign) (map[string]string, error) {
	var ids []string
	for i := range all {
		ids = append(ids, all[i].Trigger.Courses...)
	}
	rows := pg.Query(ctx, s.Pool, `SELECT id, coalesce(`+store.TitleOf("i.id", "$1::text")+`, id) FROM
		unnest($2::text[]) AS i(id)`,
		storeID, ids)
	titles := map[string]string{}
	var id, title string
	err := pg.Each(rows, []any{&id, &title}, func() { titles[id] = title })
	return titles, err
}

// Sentence says whom the campaign's question is about, with titles of courses by id.
func (c *Campaign) Sentence(titles map[string]string) string {
	q := QuestionNamed(c.Trigger.Question)
	if q == nil {
		return ""
	}
	text := q.Sentence
	for name, n := range c.Trigger.Numbers {
		if n == 1 {
			text = strings.NewReplacer("{"+name+"} days", "1 day", "{"+name+"} times", "once").Replace(text)
		}
		text = strings.ReplaceAll(text, "{"+name+"}", strconv.Itoa(n))
	}
	courses := "a course"
	var named []string
	for _, id := range c.Trigger.Courses {
		named = append(named, titles[id])
	}
	if len(named) > 0 {
		courses = strings.Join(named, " or ")
	}
	return strings.ReplaceAll(text, "{courses}", courses)
}

// At reads the moment of a preview: a time, an age to come (+7d), or a day, which means the end of the hours of that
// day in which the store sends. Empty is now. The error is a *pg.BadParam.
func (s *Campaigns) At(ctx context.Context, storeID, text string, now time.Time) (at time.Time, err error) {
	defer pg.Wrap(&err, "campaigns.At(%q)", storeID)
	switch {
	case !pg.Storable(storeID):
		return now, pg.ErrNotFound
	case text == "":
		return now, nil
	}
	at, ok := moment.At(text, now)
	if date, isDay := time.Parse(time.DateOnly, text); isDay == nil {
		z, err := zone(ctx, s.Pool, storeID)
		if err != nil {
			return at, err
		}
		settings, _, err := storemail.New(s.Store, nil).Settings(ctx, storeID)
		if err != nil {
			return at, err
		}
		ends := time.Date(date.Year(), date.Month(), date.Day()+1, 0, 0, 0, 0, mail.Zone(z))
		at, ok = settings.Hours().Last(ends, mail.Zone(z)), ends.After(now)
	}
	if !ok || at.Before(now.Add(-day)) || at.After(now.Add(366*day)) {
		return at, pg.Refuse("at", "%q is not a time from now on; write a day as 2027-01-31, a time, or +7d", text)
	}
	return maxTime(at, now), nil
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
