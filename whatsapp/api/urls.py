from django.urls import URLPattern, URLResolver, path

from whatsapp.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("whatsapp/webhook", views.webhook, name="whatsapp-webhook"),
    path("whatsapp/webhook/", views.webhook),
]
