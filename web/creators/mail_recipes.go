package creators

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rollcall/store/campaigns"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// recipeCard is a recipe on the page.
type recipeCard struct {
	*campaigns.Recipe
	Who   []fragment // the sentence, with blanks
	Goal  []fragment // what it is for, behind "the customer"
	Steps []stepRow
	Made  []campaignRow // campaigns of it that have not ended
}

// Service tells whether its mails need no consent.
func (c recipeCard) Service() bool { return c.Class == campaigns.Service }

// stepRow is a step on a page.
type stepRow struct {
	campaigns.Step
	When, What, If string
}

// recipesOf are all recipes, with the numbers that a form has for one of them.
func recipesOf(info customers.StoreInfo, page mailHome, form url.Values) (all []recipeCard) {
	for i := range campaigns.Recipes {
		r := &campaigns.Recipes[i]
		card := recipeCard{Recipe: r}
		card.Who = fragments(campaigns.QuestionNamed(r.Trigger.Question).Sentence, blank(r, info, form))
		if r.Goal != nil {
			label := strings.ReplaceAll(campaigns.FactNamed(r.Goal.Fact).Label, "{number}", strconv.Itoa(r.Goal.Number))
			card.Goal = fragments(label, blank(r, info, form))
		}
		for n, st := range r.Steps {
			card.Steps = append(card.Steps, stepRow{st, whenText(n, st), doText(st, labels{"": r.TagName}),
				conditionText(st.If, nil)})
		}
		for _, c := range page.Campaigns {
			if c.Recipe == r.Name && c.Campaign.State != campaigns.Ended {
				card.Made = append(card.Made, c)
			}
		}
		all = append(all, card)
	}
	return all
}

// blank fills in the blanks of a recipe's sentences.
func blank(r *campaigns.Recipe, info customers.StoreInfo, form url.Values) func(string) fragment {
	return func(name string) fragment {
		switch name {
		case "courses":
			m := core.Menu{Options: append([]core.Option{{Label: "any course"}}, sold(info, "course")...)}
			return fragment{Courses: m.Choose(form.Get("course")).Options}
		case "product":
			m := core.Menu{Options: append([]core.Option{{Label: "choose a product"}}, sold(info, "")...)}
			return fragment{Product: m.Choose(form.Get("product")).Options}
		}
		for _, n := range campaigns.QuestionNamed(r.Trigger.Question).Numbers {
			if n.Name == name {
				return fragment{Number: &n, Value: strconv.Itoa(r.Trigger.Numbers[name])}
			}
		}
		return fragment{}
	}
}

// RecipeForm makes a campaign of a recipe: switched on from now on, or as a draft to look at first.
func (s *Pages) RecipeForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	c, err := s.fromRecipe(r)
	switch {
	case isRefused(err):
		return s.showMail(w, r, err)
	case err != nil:
		return err
	}
	http.Redirect(w, r, mailPage{URL: pathOf(r, "mail")}.campaignURL(c.ID), http.StatusSeeOther)
	return nil
}

// fromRecipe makes the campaign. One that cannot be switched on leaves nothing behind.
func (s *Pages) fromRecipe(r *http.Request) (c campaigns.Campaign, err error) {
	from := campaigns.FromRecipe{Recipe: r.PathValue("recipe"), Product: r.PostForm.Get("product"),
		Numbers: map[string]int{}}
	if course := r.PostForm.Get("course"); course != "" {
		from.Courses = []string{course}
	}
	for name := range r.PostForm {
		if number, ok := strings.CutPrefix(name, "n."); ok {
			if from.Numbers[number], err = strconv.Atoi(r.PostForm.Get(name)); err != nil {
				return c, pg.Refuse(number, "must be a whole number")
			}
		}
	}
	id, all := r.PathValue("store"), s.campaigns()
	if c, err = all.Make(r.Context(), id, from, core.Admitted(r).Name()); err != nil || r.PostForm.Get("do") != "on" {
		return c, err
	}
	if _, err = all.Switch(r.Context(), id, c.ID, campaigns.Order{To: campaigns.On}, s.Cfg.Now()); err != nil {
		return c, errors.Join(err, all.Delete(r.Context(), id, c.ID))
	}
	return c, nil
}
