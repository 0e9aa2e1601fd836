# Sidekiq with sidekiq-cron and one entry, for a test. CRON is its cron expression. The queue has no
# workers, so that the test can count its jobs.
require "sidekiq"
require "sidekiq-cron"

Sidekiq.configure_server do |c|
  c.redis = { url: ENV.fetch("REDIS_URL") }
  Sidekiq.options[:poll_interval_average] = 1
  Sidekiq.options[:cron_poll_interval] = 1
  c.on(:startup) do
    Sidekiq::Cron::Job.create(name: "shared job", cron: ENV.fetch("CRON"), class: "Shared::Job",
      queue: "shared", args: [1])
    $stdout.write("the jobs are loaded\n")
    $stdout.flush
  end
end
