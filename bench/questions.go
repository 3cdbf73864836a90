package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// question is what is asked of a site: paths that ask the same of other values,
// so that it is not one answer that is kept warm.
type question struct {
	name       string
	api, pages []string
	nobody     bool // is who should be found
}

// findsNobody says that it should.
func (q question) findsNobody() question {
	q.nobody = true
	return q
}

// ofList asks for the beginning of the list, with each of the queries.
func ofList(name string, queries ...string) question {
	q := question{name: name}
	for _, query := range queries {
		q.api = append(q.api, apiPath+"/customers?"+query)
		q.pages = append(q.pages, pagePath+"?"+query)
	}
	return q
}

const (
	apiPath  = "/api/stores/" + longest
	pagePath = "/store/" + longest + "/customers"
)

// each makes queries of one, with every value in the place of its %v.
func each[T any](query string, values ...T) (queries []string) {
	for _, v := range values {
		queries = append(queries, fmt.Sprintf(query, v))
	}
	return queries
}

// courses and digital are ids, by their number: those of low numbers sell best.
func courses(numbers ...int) []string { return each("course_0_%d", numbers...) }
func digital(numbers ...int) []string { return each("digital_0_%d", numbers...) }

// deep is how many pages down the list the deepest page is.
const deep = 1000

// questions are all that is asked.
func (s *system) questions(ctx context.Context, a *asker) (all []question, err error) {
	all = []question{ofList("first page", "")}
	further, err := a.walk(ctx, "", deep)
	if err != nil {
		return nil, err
	}
	all = append(all, ofList(fmt.Sprintf("page %d", deep), further[len(further)-20:]...))
	all = append(all, filters()...)
	for _, sort := range []string{"last_activity", "first_seen", "spent", "name", "email"} {
		for _, sort := range []string{sort, "-" + sort} {
			pages, err := a.walk(ctx, "sort="+sort, 10)
			if err != nil {
				return nil, err
			}
			all = append(all, ofList("sort="+sort+", pages 1 to 10", pages...))
		}
	}
	some, err := s.someCustomers(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, searches(some)...)
	all = append(all, figures()...)
	one, err := single(ctx, a, some)
	return append(all, one...), err
}

// filters are single ones, and one of several.
func filters() []question {
	popular, medium, rare := courses(1, 2, 3), courses(9, 10, 11, 12, 13, 14), courses(35, 36, 37, 38, 39, 40)
	days := []int{7, 14, 30, 60, 90}
	long := []int{200, 400, 600, 800, 950}
	return []question{
		ofList("type", each("type=%s", "lead", "paying", "subscription")...),
		ofList("status", each("status=%s", "active", "inactive")...),
		ofList("source", each("source=%s", "free_course", "course_purchase", "product_purchase", "subscription")...),
		ofList("course, popular", each("course=%s", popular...)...),
		ofList("course, medium", each("course=%s", medium...)...),
		ofList("course, rare", each("course=%s", rare...)...),
		ofList("not_course, popular", each("not_course=%s", popular...)...),
		ofList("not_course, rare", each("not_course=%s", rare...)...),
		ofList("completed=yes, popular", each("completed=yes&course=%s", popular...)...),
		ofList("completed=yes, rare", each("completed=yes&course=%s", rare...)...),
		ofList("completed=no, popular", each("completed=no&course=%s", popular...)...),
		ofList("completed=no, rare", each("completed=no&course=%s", rare...)...),
		ofList("progress 40 to 60 %, popular", each("progress_min=40&progress_max=60&course=%s", popular...)...),
		ofList("progress 40 to 60 %, rare", each("progress_min=40&progress_max=60&course=%s", rare...)...),
		ofList("product, popular", each("product=%s", digital(1, 2, 3)...)...),
		ofList("product, rare", each("product=%s", digital(17, 18, 19, 20)...)...),
		ofList("not_product, popular", each("not_product=%s", digital(1, 2, 3)...)...),
		ofList("spent_min, 50 to 200", each("spent_min=%d", 50, 100, 150, 200)...),
		ofList("spent_min, 1,000 and more", each("spent_min=%d", 1000, 1200, 1500, 2000)...),
		ofList("first_seen_after", each("first_seen_after=%dd", days...)...),
		ofList("first_seen_before", each("first_seen_before=%dd", long...)...),
		ofList("last_activity_after", each("last_activity_after=%dd", days...)...),
		ofList("last_activity_before", each("last_activity_before=%dd", long...)...),
		ofList("four filters", each("type=paying&course=%s&spent_min=100&last_activity_after=90d", popular...)...),
		ofList("four filters, few meet them", each("type=paying&course=%s&spent_min=500&first_seen_before=800d",
			medium...)...),
	}
}

// searches look for words.
func searches(some []someone) []question {
	var addresses []string
	for _, c := range some {
		addresses = append(addresses, url.QueryEscape(c.Email))
	}
	return []question{
		ofList("q: a common name", each("q=%s", "maria", "james", "anna", "smith", "müller")...),
		ofList("q: two names", each("q=%s", "maria+garcía", "james+smith", "zoe+silva", "noor+reynolds")...),
		ofList("q: an address", each("q=%s", addresses...)...),
		ofList("q: part of a word", each("q=%s", "arci", "hnso", "ller", "ødeg", "alsk")...),
		ofList("q: a title", each("q=%s", "sourdough", "guitar", "preset", "masterclass", "deep+dive")...),
		ofList("q: in a title or a name", each("q=%s", "king", "live", "all", "rum")...),
		ofList("q: nothing found", each("q=%s", "zzqxv", "nobody+at+all", "xylophonist", "qqqq")...).findsNobody(),
		ofList("q: two letters", each("q=%s", "an", "li", "ng", "zo")...),
		ofList("q: two letters, nothing found", each("q=%s", "qx", "zx")...).findsNobody(),
	}
}

// figures are the numbers above the list, of all of it and of parts.
func figures() (all []question) {
	for _, f := range []struct {
		name    string
		queries []string
	}{
		{"stats", []string{""}},
		{"stats of a type", each("type=%s", "lead", "paying", "subscription")},
		{"stats of a popular course", each("course=%s", courses(1, 2, 3)...)},
		{"stats of a rare course", each("course=%s", courses(38, 39, 40)...)},
		{"stats of a common name", each("q=%s", "maria", "james", "smith")},
		{"stats since a time", each("first_seen_after=%dd", 7, 30, 90)},
	} {
		all = append(all, question{name: f.name, api: each(apiPath+"/stats?%s", f.queries...)})
	}
	return all
}

// single are questions about one customer.
func single(ctx context.Context, a *asker, some []someone) ([]question, error) {
	var ids []string
	for _, c := range some {
		var shown struct{ ID string } // as links have it
		body, err := a.get(ctx, fmt.Sprintf("%s/customers/%d", apiPath, c.ID), "identity")
		if err == nil {
			err = json.Unmarshal(body, &shown)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, shown.ID)
	}
	return []question{
		{name: "one customer", api: each(apiPath+"/customers/%s", ids...), pages: each(pagePath+"/%s", ids...)},
		{name: "explain", api: each(apiPath+"/customers/%s/explain", ids...)},
		{name: "timeline", api: each(apiPath+"/customers/%s/timeline", ids...)},
	}, nil
}

// walk goes down a list for so many pages, and returns the query of each.
func (a *asker) walk(ctx context.Context, query string, pages int) ([]string, error) {
	queries := []string{query}
	for len(queries) < pages {
		body, err := a.get(ctx, apiPath+"/customers?"+queries[len(queries)-1], "identity")
		if err != nil {
			return nil, err
		}
		var page struct {
			Next *string `json:"next_cursor"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		if page.Next == nil {
			break
		}
		queries = append(queries, strings.TrimPrefix(query+"&cursor="+*page.Next, "&"))
	}
	return queries, nil
}

// someone is a customer of the long list.
type someone struct {
	ID    int64
	Email string
}

// someCustomers are from all of the long list, none near another.
func (s *system) someCustomers(ctx context.Context) ([]someone, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, email
		FROM customers
		WHERE store_id = $1 AND id % 997 = 1
		ORDER BY hashint8(id)
		LIMIT 200`, longest)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[someone])
}
