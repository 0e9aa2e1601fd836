$VERBOSE = nil
require "sidekiq"
quiet = Class.new do
  def initialize(*) = nil
  def call(item, queue) = yield
  def prepare(item) = yield
end
Sidekiq.configure_server do |c|
  c.redis = { url: ENV.fetch("REDIS_URL") }
  if ENV["JOB_LOG"] == "off"
    c.logger.level = Logger::WARN
    c.options[:job_logger] = quiet
  end
end
module Test
  class NoOp
    include Sidekiq::Worker
    def perform(*) = nil
  end
  class Wait
    include Sidekiq::Worker
    def perform(ms) = sleep(ms / 1e3)
  end
  class Ledger
    include Sidekiq::Worker
    def perform(path, id, ms)
      File.open(path, "a") { |f| f.write("start #{id}\n") }
      sleep ms / 1e3
      File.open(path, "a") { |f| f.write("end #{id}\n") }
    end
  end
  class Work
    include Sidekiq::Worker
    def perform(path, queue, pushed, takes, host)
      start = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
      sleep takes / 1e6
      File.open(path, "a") { |f|
        f.write("#{queue} #{host} #{pushed} #{start} " \
          "#{Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)}\n") }
    end
  end
  class Stamp
    include Sidekiq::Worker
    def perform(path, pushed)
      waited = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond) - pushed
      File.open(path, "a") { |f| f.write("#{waited}\n") }
    end
  end
end
