# One image for web, worker, sender and beat; docker-compose.yml runs it. The database and Redis are given by the environment.
FROM python:3.13-slim AS build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps -r requirements.txt && pip check

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GROUPAROO_VAR=/var/lib/grouparoo LOG_FORMAT=json
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin grouparoo \
 && install -d -o grouparoo -m 0700 /var/lib/grouparoo
COPY --from=build /opt/venv /opt/venv
COPY . /app
WORKDIR /app
USER grouparoo
VOLUME /var/lib/grouparoo
EXPOSE 8000
ENTRYPOINT ["python", "manage.py"]
CMD ["run", "web"]
