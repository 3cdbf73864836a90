package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hibiken/asynq"
)

// forgetPage is how many jobs are asked for at once.
const forgetPage = 1000

// Forget deletes the jobs whose last error has any of the names in it, which are
// in lower case, and returns how many. Nothing is lost with them: rows say what
// is still to be done, and a sweep asks for it again. A job itself carries
// nothing but ids of rows.
func Forget(opt asynq.RedisConnOpt, names []string) (deleted int, err error) {
	i := asynq.NewInspector(opt)
	defer i.Close()
	queues, err := i.Queues()
	if err != nil {
		return 0, fmt.Errorf("jobs.Forget: %w", err)
	}
	for _, queue := range queues {
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			i.ListPendingTasks, i.ListScheduledTasks, i.ListRetryTasks, i.ListArchivedTasks,
		} {
			ids, err := naming(queue, list, names)
			if err != nil {
				return deleted, fmt.Errorf("jobs.Forget: %w", err)
			}
			for _, id := range ids {
				if err := i.DeleteTask(queue, id); err == nil {
					deleted++
				} else if !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
					return deleted, fmt.Errorf("jobs.Forget: job %s: %w", id, err)
				}
			}
		}
	}
	return deleted, nil
}

// naming lists the ids of jobs whose last error has any of the names in it.
func naming(queue string, list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error), names []string) (ids []string, err error) {
	for page := 1; ; page++ {
		tasks, err := list(queue, asynq.Page(page), asynq.PageSize(forgetPage))
		if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
			return nil, err
		}
		for _, t := range tasks {
			text := strings.ToLower(t.LastErr)
			if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(text, name) }) {
				ids = append(ids, t.ID)
			}
		}
		if len(tasks) < forgetPage {
			return ids, nil
		}
	}
}
