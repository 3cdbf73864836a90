package campaigns

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/mail"
	"rollcall/store/pg"
	"rollcall/value"
)

// Results are what a campaign has come to so far.
type Results struct {
	AsOf     time.Time         `json:"as_of"`
	Entered  int64             `json:"entered"`
	Arms     []Arm             `json:"arms"`  // held first, if there are any
	Mails    []MailCount       `json:"mails"` // by step, status and reason
	Clicked  Clicked           `json:"clicked"`
	Opened   int64             `json:"opened"`    // mails that a provider says were opened, where recipients agreed to it
	Links    []LinkCount       `json:"links"`     // of its texts, those that were followed, where clicks are counted
	CameBack value.Share       `json:"came_back"` // of those mailed 7 days ago or longer, those who came back in 7 days
	Effect   *value.Difference `json:"effect"`    // goal with mails less goal without; null: it cannot be said
	Versus   *value.Difference `json:"versus"`    // goal of text b less that of a; null: it cannot be said
}

// Arm is what became of those who got the same.
type Arm struct {
	Arm     string      `json:"arm"` // held, a or b
	Entered int64       `json:"entered"`
	Mailed  int64       `json:"mailed"` // got a mail at least
	Running int64       `json:"running"`
	Goal    int64       `json:"goal"`  // reached so far
	Ended   []Ending    `json:"ended"` // by reason
	Share   value.Share `json:"share"` // that reached the goal, of those whose time is over
}

// Ending is how many runs ended for a reason.
type Ending struct {
	Reason string `json:"reason"`
	Runs   int64  `json:"runs"`
}

// MailCount is how many mails of a step are in a state.
type MailCount struct {
	Step    string `json:"step"`
	Name    string `json:"name"` // of the step: its number and subject; empty: it was taken out
	Variant string `json:"variant"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Mails   int64  `json:"mails"`
}

// LinkCount is how often a link was followed since the campaign was switched on, whichever mail of the store had it.
type LinkCount struct {
	URL      string `json:"url"`
	People   int64  `json:"people"`
	Machines int64  `json:"machines"` // programs that check mails
}

// Clicked is how many mails were clicked in, where it is known who clicks.
type Clicked struct {
	People   int64 `json:"people"`
	Machines int64 `json:"machines"` // by programs that check mails
}

// Results are what became of a campaign's runs and mails: counted, or of many those that are kept. A share is of those
// who entered so long ago that all steps and the time in which the goal counts are over: who reaches it ends early, so
// to count all who have ended would say too much. Those who were merged or are gone are left out.
func (s *Campaigns) Results(ctx context.Context, storeID, id string, now time.Time) (r Results, err error) {
	defer pg.Wrap(&err, "campaigns.Results(%q, %q)", storeID, id)
	var c Campaign
	var many bool
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		if c, err = one(ctx, tx, storeID, id, ""); err != nil {
			return err
		}
		if many, err = s.many(ctx, tx, &c); err == nil && !many {
			r, err = c.count(ctx, tx, now)
		}
		return err
	})
	if err == nil && many {
		return s.kept(ctx, &c, now)
	}
	return r, err
}

// count counts the results of a campaign.
func (c *Campaign) count(ctx context.Context, tx pgx.Tx, now time.Time) (r Results, err error) {
	r.AsOf = now.UTC()
	if r.Arms, err = c.arms(ctx, tx, now); err != nil {
		return r, err
	}
	rows := pg.Query(ctx, tx, `
		SELECT step, '', variant, status, coalesce(reason, ''), count(*)
		FROM mails
		WHERE campaign_id = $1
		  AND class <> 'test'
		GROUP BY 1, 2, 3, 4, 5
		ORDER BY coalesce(array_position($2, step), 1000), 1, 3, 4, 5`, c.ID, c.keys())
	if r.Mails, err = pgx.CollectRows(rows, pgx.RowToStructByPos[MailCount]); err != nil {
		return r, err
	}
	for i := range r.Mails {
		r.Mails[i].Name = c.nameOf(r.Mails[i])
	}
	if err = c.mailed(ctx, tx, r.Arms); err != nil {
		return r, err
	}
	if r.CameBack, err = c.cameBack(ctx, tx, now); err != nil {
		return r, err
	}
	r.compare()
	if r.Links, err = c.links(ctx, tx); err != nil {
		return r, err
	}
	err = tx.QueryRow(ctx, `
		SELECT
			count(DISTINCT m.id) FILTER (WHERE e.kind = 'clicked' AND NOT e.machine),
			count(DISTINCT m.id) FILTER (WHERE e.kind = 'clicked' AND e.machine),
			count(DISTINCT m.id) FILTER (WHERE e.kind = 'opened')
		FROM mails m
		JOIN mail_events e ON e.mail_id = m.id
		WHERE m.campaign_id = $1
		  AND m.class <> 'test'
		  AND e.kind IN ('clicked', 'opened')`, c.ID).Scan(&r.Clicked.People, &r.Clicked.Machines, &r.Opened)
	return r, err
}

// keys are those of the steps, in their order.
func (c *Campaign) keys() (all []string) {
	for _, st := range c.Steps {
		all = append(all, st.Key)
	}
	return all
}

// nameOf is what the step of mails is called.
func (c *Campaign) nameOf(m MailCount) string {
	i := slices.Index(c.keys(), m.Step)
	if i < 0 || c.Steps[i].Do != DoMail {
		return ""
	}
	return fmt.Sprintf("%d. %s", i+1, c.Steps[i].text(m.Variant).Subject)
}

// mailed counts in each arm who got a mail.
func (c *Campaign) mailed(ctx context.Context, tx pgx.Tx, arms []Arm) error {
	rows := pg.Query(ctx, tx, `
		SELECT CASE variant WHEN 'b' THEN 'b' ELSE 'a' END, count(DISTINCT (email, occurrence))
		FROM mails
		WHERE campaign_id = $1
		  AND class <> 'test'
		  AND status = 'sent'
		GROUP BY 1`, c.ID)
	var arm string
	var n int64
	return pg.Each(rows, []any{&arm, &n}, func() {
		for i := range arms {
			if arms[i].Arm == arm {
				arms[i].Mailed = n
			}
		}
	})
}

// cameBack is the share of those who were mailed who came back, once it can be said.
func (c *Campaign) cameBack(ctx context.Context, tx pgx.Tx, now time.Time) (value.Share, error) {
	var mailed, back int64
	err := tx.QueryRow(ctx, `
		SELECT count(DISTINCT r.email), count(DISTINCT r.email) FILTER (WHERE r.was = 'came_back')
		FROM `+mail.Story("sent", "came_back")+` r
		JOIN mails m ON m.id = r.mail_id
		WHERE r.store_id = $1
		  AND r.campaign_id = $2
		  AND m.sent_at <= $3`, c.store, c.ID, now.Add(-mail.BackWithin)).Scan(&mailed, &back)
	return value.Proportion(back, mailed, "no one was mailed 7 days ago yet"), err
}

// span is how long a run takes that does not end early.
func (c *Campaign) span() (all time.Duration) {
	for _, st := range c.Steps {
		all += time.Duration(st.Wait)
	}
	return all + time.Duration(c.Within)
}

// arms counts the runs of each arm.
func (c *Campaign) arms(ctx context.Context, tx pgx.Tx, now time.Time) ([]Arm, error) {
	rows := pg.Query(ctx, tx, `
		SELECT
			arm,
			coalesce(ended_for, ''),
			count(*),
			count(*) FILTER (WHERE entered_at <= $2)
		FROM runs
		WHERE campaign_id = $1
		GROUP BY 1, 2
		ORDER BY arm <> 'held', arm, 2`, c.ID, now.Add(-c.span()))
	arms, over := []Arm{}, map[string][2]int64{}
	var arm, reason string
	var n, old int64
	err := pg.Each(rows, []any{&arm, &reason, &n, &old}, func() {
		if len(arms) == 0 || arms[len(arms)-1].Arm != arm {
			arms = append(arms, Arm{Arm: arm, Ended: []Ending{}})
		}
		a, sum := &arms[len(arms)-1], over[arm]
		a.Entered += n
		switch reason {
		case "":
			a.Running += n
			return
		case forGoal:
			a.Goal += n
			sum[0] += old
		}
		a.Ended = append(a.Ended, Ending{reason, n})
		if reason != "merged" && reason != "gone" {
			sum[1] += old
		}
		over[arm] = sum
	})
	for i := range arms {
		sum := over[arms[i].Arm]
		arms[i].Share = value.Proportion(sum[0], sum[1], "no one's time is over yet")
	}
	return arms, err
}

// compare compares the arms.
func (r *Results) compare() {
	share := func(names ...string) value.Share {
		var did, of int64
		for _, a := range r.Arms {
			if slices.Contains(names, a.Arm) {
				did, of = did+a.Share.Did, of+a.Share.Of
			}
		}
		return value.Proportion(did, of, "no one's time is over yet")
	}
	for _, a := range r.Arms {
		r.Entered += a.Entered
	}
	r.Effect = value.Compare(share("a", "b"), share("held"))
	r.Versus = value.Compare(share("b"), share("a"))
}
