package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

const (
	// mostCounted is how many runs a campaign may have whose results are counted while someone waits for them. Of a
	// million that takes seconds.
	mostCounted = 20_000
	// keptFor is how old kept results become before who asks for them has them counted again.
	keptFor = 10 * time.Minute
	// countingFor is how long counting may take.
	countingFor = 2 * time.Minute
)

// ErrCounting is the error of results that are not counted yet.
var ErrCounting = errors.New("the results are being counted, which takes a worker some seconds: ask again then")

// keptResults are what campaign_results has.
type keptResults struct {
	Results Results `json:"results"`
	Figures Figures `json:"figures"`
}

// many tells whether a campaign has so many runs that its results are kept.
func (s *Campaigns) many(ctx context.Context, tx pgx.Tx, c *Campaign) (many bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) > $2
		FROM (SELECT FROM runs WHERE campaign_id = $1 LIMIT $2 + 1) r`, c.ID, s.mostCounted).Scan(&many)
	return many, err
}

// kept are the kept results of a campaign. If they are old, or there are none, a worker is to count them.
func (s *Campaigns) kept(ctx context.Context, c *Campaign, now time.Time) (Results, error) {
	var at *time.Time
	var text []byte
	err := s.Pool.QueryRow(ctx, `SELECT counted_at, results FROM campaign_results WHERE campaign_id = $1`, c.ID).
		Scan(&at, &text)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Results{}, err
	}
	if at == nil || now.Sub(*at) >= keptFor {
		if err := s.wantCounted(ctx, []string{c.ID}, now); err != nil {
			return Results{}, err
		}
	}
	if at == nil {
		return Results{}, ErrCounting
	}
	var k keptResults
	err = json.Unmarshal(text, &k)
	if k.Results.Links == nil { // they were counted by a version before
		k.Results.Links = []LinkCount{}
	}
	return k.Results, err
}

// wantCounted has a worker count the results of campaigns.
func (s *Campaigns) wantCounted(ctx context.Context, ids []string, now time.Time) error {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO campaign_results AS k (campaign_id, asked_at)
		SELECT id, $2
		FROM unnest($1::text[]) id
		ORDER BY 1
		ON CONFLICT (campaign_id) DO UPDATE SET asked_at = EXCLUDED.asked_at
			WHERE k.asked_at IS NULL`, ids, now)
	return err
}

// Count counts and keeps the results of one campaign that someone asked for. A worker that dies meanwhile leaves it to
// who asks next.
func (s *Campaigns) Count(ctx context.Context, now time.Time) (worked bool, err error) {
	defer pg.Wrap(&err, "campaigns.Count")
	var store, id string
	err = s.Pool.QueryRow(ctx, `
		UPDATE campaign_results k
		SET
			asked_at = NULL,
			taken_at = $1
		FROM campaigns c
		WHERE c.id = k.campaign_id
		  AND k.campaign_id = (
			SELECT campaign_id
			FROM campaign_results
			WHERE asked_at IS NOT NULL
			  AND (taken_at IS NULL OR taken_at <= $2)
			ORDER BY asked_at
			LIMIT 1
			FOR UPDATE SKIP LOCKED
		)
		RETURNING c.store_id, c.id`, now, now.Add(-countingFor)).Scan(&store, &id)
	if errors.Is(err, pgx.ErrNoRows) || pg.Outdated(err) { // nothing to do, or not yet
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var k keptResults
	if err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(countingFor), func(tx pgx.Tx) error {
		c, err := one(ctx, tx, store, id, "")
		if err != nil {
			return err
		}
		if k.Results, err = c.count(ctx, tx, now); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT r.entered, r.open, r.goals, m.sent FROM (VALUES ($1)) c(id)`+figures("true"), id).
			Scan(&k.Figures.Entered, &k.Figures.Open, &k.Figures.Goals, &k.Figures.Sent)
	}); err != nil {
		return false, err
	}
	text, err := json.Marshal(k)
	if err != nil {
		return false, err
	}
	_, err = s.Pool.Exec(ctx, `UPDATE campaign_results SET counted_at = $2, results = $3 WHERE campaign_id = $1`, id, now,
		string(text))
	return err == nil, err
}
