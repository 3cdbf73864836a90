package creators

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rollcall/mail"
	"rollcall/store/campaigns"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// showCampaignForm shows the form; refused is why it was not saved, or nil.
func (s *Pages) showCampaignForm(w http.ResponseWriter, r *http.Request, page campaignForm, refused error) (err error) {
	if page.mailPage, err = s.newMailPage(r, "campaigns"); err != nil {
		return err
	}
	page.Action, page.Back, page.Names = page.URL+"/new", page.URL, mail.Names
	if page.C.ID != "" {
		page.Back = page.campaignURL(page.C.ID)
		page.Action = page.Back + "/edit"
	}
	info, err := customers.New(s.Cfg.Store).Store(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	if page.Question = campaigns.QuestionNamed(page.C.Trigger.Question); page.Question == nil {
		return core.ErrForm
	}
	labels, err := s.labelsOf(r)
	if err != nil {
		return err
	}
	if page.Nowhere, err = s.campaigns().Lacks(r.Context(), r.PathValue("store"), page.C); err != nil {
		return err
	}
	page.refuse(refused)
	page.offer(info)
	page.Sentence = whoText(page.C, labels)
	if err := s.offerAudience(r, &page); err != nil {
		return err
	}
	status := http.StatusOK
	if refused != nil {
		status = core.Explain(refused).Status
	}
	return s.Page(w, status, "campaign_edit.html", page)
}

// stepsAt finds the step that an error is about.
var stepsAt = regexp.MustCompile(`^steps/(\d+)`)

// refuse fills in what is wrong with the form.
func (p *campaignForm) refuse(err error) {
	if err == nil {
		return
	}
	p.Wrong = reasonFor(err)
	wrong, is := errors.AsType[*pg.BadParam](err)
	if !is {
		return
	}
	if at := stepsAt.FindStringSubmatch(wrong.Name); at != nil {
		n, _ := strconv.Atoi(at[1])
		p.WrongStep = n + 1
		p.Wrong = "Step " + strconv.Itoa(p.WrongStep) + " " + wrong.Reason + "."
	}
}

// offer fills in what can be chosen, and what is.
func (p *campaignForm) offer(info customers.StoreInfo) {
	for _, q := range campaigns.Questions {
		p.Kinds = append(p.Kinds, choice{q.Label, p.URL + "/new?question=" + q.Name, q.Name == p.Question.Name})
	}
	for _, n := range p.Question.Numbers {
		if _, given := p.C.Trigger.Numbers[n.Name]; !given {
			p.C.Trigger.Numbers[n.Name] = n.Default
		}
		p.Numbers = append(p.Numbers, numberField{n, p.C.Trigger.Numbers[n.Name]})
	}
	if p.Question.Courses {
		m := core.Menu{Param: pg.Param{Multi: true}, Options: sold(info, "course")}
		p.Courses = m.Choose(strings.Join(p.C.Trigger.Courses, "\n")).Options
	}
	product := ""
	if p.C.Goal != nil {
		product = p.C.Goal.Product
	}
	m := core.Menu{Options: append([]core.Option{{Label: "Choose a product"}}, sold(info, "")...)}
	p.Product = m.Choose(product).Options
	p.Goals = p.tests(p.C.Goal, "Nothing: send all steps", false)
	for i, st := range p.C.Steps {
		f := stepForm{Step: st, N: i + 1, At: "s." + strconv.Itoa(i+1) + ".", Focus: p.Added == i+1,
			Ifs: p.tests(st.If, "Always", true), Single: len(p.C.Steps) == 1}
		if p.WrongStep == f.N {
			f.Wrong = p.Wrong
		}
		m := core.Menu{Options: append([]core.Option{{Label: "Choose a tag"}}, tagged(info)...)}
		f.Tags = m.Choose(st.Tag).Options
		p.Steps = append(p.Steps, f)
	}
}

// tests are the facts that can be asked of the question's runs; both offers their opposites, too.
func (p *campaignForm) tests(chosen *campaigns.Test, none string, both bool) []core.Option {
	all := []core.Option{{Label: none}}
	plain := strings.NewReplacer("{number}%", "a part", "{product}", "a product")
	for _, f := range campaigns.FactsOf(p.Question) {
		if both && (f.Number || f.Product) {
			continue
		}
		label := plain.Replace(f.Label)
		if !both {
			all = append(all, core.Option{Value: f.Name, Label: "The customer " + label})
			continue
		}
		all = append(all, core.Option{Value: f.Name, Label: "Only if the customer " + label},
			core.Option{Value: "not " + f.Name, Label: "Unless the customer " + label})
	}
	value := ""
	if chosen != nil {
		value = chosen.Fact
		if chosen.Not {
			value = "not " + value
		}
	}
	return core.Menu{Options: all}.Choose(value).Options
}

// offerAudience fills in to whom a campaign can be limited: the store's segments, and the rule that it has.
func (s *Pages) offerAudience(r *http.Request, page *campaignForm) error {
	kept, err := s.allSegments(r)
	if err != nil {
		return err
	}
	all := []core.Option{{Label: "All of them"}}
	for _, one := range kept {
		all = append(all, core.Option{Value: string(inSegment(one.Value)), Label: one.Label})
	}
	chosen := string(page.C.Audience)
	rule, wrong := customers.ParseRule(chosen)
	if chosen != "" && wrong == nil {
		text, err := customers.New(s.Cfg.Store).RuleText(r.Context(), r.PathValue("store"), rule)
		if err != nil {
			return err
		}
		chosen = rule.String()
		all = append(all, core.Option{Value: chosen, Label: text})
	}
	page.Audience = oneOfEach(core.Menu{Options: all}.Choose(chosen).Options)
	return nil
}

// oneOfEach are options without those whose value came before.
func oneOfEach(options []core.Option) (all []core.Option) {
	seen := map[string]bool{}
	for _, o := range options {
		if !seen[o.Value] {
			all = append(all, o)
		}
		seen[o.Value] = true
	}
	return all
}

// Number is the number of a wait, in its unit.
func (f stepForm) Number() string {
	number := strings.TrimRight(f.Wait.String(), "hd")
	return cmp.Or(strings.TrimLeft(number, "0"), "0")
}

// Hours tells whether a wait is written in hours.
func (f stepForm) Hours() bool { return f.Wait != 0 && time.Duration(f.Wait)%(24*time.Hour) != 0 }

// Tagging tells whether the step is about a tag.
func (f stepForm) Tagging() bool { return f.Do == campaigns.DoTag || f.Do == campaigns.DoUntag }

// AsksNumber tells whether a goal that can be chosen has a number.
func (p campaignForm) AsksNumber() bool { return p.Question.Courses }

// Once tells whether the campaign is sent once, at a time.
func (p campaignForm) Once() bool { return p.Question.Kind == campaigns.Once }
